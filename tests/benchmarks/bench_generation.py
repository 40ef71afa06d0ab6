"""The product's loop, ledger and all, against one ``LLM.generate`` over the same prompts, and against one for every batch.

All three take turns on one engine in this process: a small model of random weights, and answers of very different length
(log-normal), so that a batch that drains would show. Ours also decodes, checks and commits every answer to a ledger on disk.
"""

import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.environment import prepare_libraries

prepare_libraries()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

from transformers import LlamaConfig, LlamaForCausalLM
from vllm import LLM, SamplingParams
from vllm.inputs import tokens_input

from tasks.generating import generation as generating
from tasks.generating.generation import Generation
from tasks.generating.settings import GenerationsRuntime, GenerationsSettings
from tasks.teachers.engine_arguments import engine_arguments
from tasks.teachers.engine_sampling import sampling_parameters
from tasks.teachers.exchange import Request
from tasks.teachers.settings import EngineRuntime, Sampling
from tasks.teachers.vllm import Engine
from tests.models import tiny_tokenizer
from tests.teaching import prepare, teach

ROWS, NUM_SEQS, MAX_NEW_TOKENS, SHARD_ROWS, ROUNDS = 768, 64, 512, 64, 3
SAMPLING = Sampling(max_new_tokens=MAX_NEW_TOKENS, max_prompt_tokens=64, dtype="bfloat16")
RUNTIME = EngineRuntime(max_num_seqs=NUM_SEQS, kv_cache_bytes=256 << 20)


class FixedLengthEngine(Engine):
    """The product's engine on one that is there already, made to answer with lengths that are known beforehand."""

    def __init__(self, llm: LLM) -> None:
        self._sampling, self._logprobs, self._parameters_of_all = SAMPLING, None, sampling_parameters(SAMPLING, None)
        self._engine, self._window, self.tokenizer, self.steps = llm.llm_engine, 2 * NUM_SEQS, None, 0
        self.asked: list[Request] = []

    def _parameters(self, request: Request) -> SamplingParams:
        self.asked.append(request)
        parameters = super()._parameters(request)
        parameters.max_tokens, parameters.ignore_eos = _length(request), True
        return parameters


class Way:
    """A way to answer all prompts, and what each of its rounds took."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work
        self.tokens, self.steps = 0, 0
        self.wall: list[float] = []
        self.processor: list[float] = []

    def go(self, steps: list[int]) -> None:
        """Do it once more; ``steps`` grows by the engine's steps."""
        before, wall, processor = len(steps), time.monotonic(), time.process_time()
        self.tokens = self._work()
        self.wall.append(time.monotonic() - wall)
        self.processor.append(time.process_time() - processor)
        self.steps = len(steps) - before

    @property
    def speed(self) -> float:
        """Tokens a second in the median round."""
        return self.tokens / statistics.median(self.wall)


def main() -> None:
    """Print the ratios of steps, of throughput and of processor time."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        model = _write_model(Path(folder) / "model")
        runs = _runs(Path(folder), model, 1 + ROUNDS)
        llm = LLM(**engine_arguments(model, SAMPLING, RUNTIME, cuda=False), enable_prefix_caching=False)
        steps, engine = _count_steps(llm), FixedLengthEngine(llm)
        patch.setattr(generating, "open_teacher", lambda *_: nullcontext(engine))
        ours = Way(lambda: next(runs).answer().completion_tokens)
        ours.go(steps)  # tells which requests there are, in which order, and warms everything up
        requests = list(engine.asked)
        one, chunked = Way(lambda: _generate(llm, requests, ROWS)), Way(lambda: _generate(llm, requests, NUM_SEQS))
        one.go(steps)
        ours.wall, ours.processor, one.wall, one.processor = [], [], [], []
        for _ in range(ROUNDS):
            one.go(steps)
            ours.go(steps)
        chunked.go(steps)
    if not ours.tokens == one.tokens == chunked.tokens:
        raise ValueError(f"they made {ours.tokens}, {one.tokens} and {chunked.tokens} tokens; they must do the same work")
    reference = f"one LLM.generate over the same {ROWS} prompts: {one.steps} steps, {one.speed:.0f} tokens/s"
    _show("generation_steps_ratio", ours.steps / one.steps, "steps / steps", reference)
    _show("generation_throughput_ratio", _paired(one.wall, ours.wall), "tokens/s / tokens/s", reference)
    _show("generation_processor_ratio", _paired(one.processor, ours.processor), "tokens/CPU s / tokens/CPU s", reference)
    microseconds = (statistics.median(ours.processor) - statistics.median(one.processor)) / ROWS * 1e6
    _show("generation_overhead_us_per_row", microseconds, "CPU us/row", "what one LLM.generate takes, without text and ledger")
    reference = f"{reference}; here one for every {NUM_SEQS} prompts: {chunked.steps} steps, {chunked.speed:.0f} tokens/s"
    _show("chunked_steps_ratio", chunked.steps / one.steps, "steps / steps", reference)
    _show("chunked_throughput_ratio", chunked.speed / one.speed, "tokens/s / tokens/s", reference)


def _runs(folder: Path, model: Path, count: int) -> Iterator[Generation]:
    """Return runs of the product that have everything still to do, each in a store of its own."""
    random, words = np.random.default_rng(0), ["still", "spirit", "hot", "cold", "clear", "label", "rains", "tap"]
    texts = [f"{number} {' '.join(random.choice(words, random.integers(2, 9)))}" for number in range(ROWS)]
    rows = [{"prompt": text, "answer": "x"} for text in texts]
    settings = GenerationsSettings(sampling=SAMPLING, runtime=GenerationsRuntime(shard_rows=SHARD_ROWS))
    stores = [folder / str(number) / "store" for number in range(count)]
    return iter([Generation(settings, str(store), prepare(store, rows), teach(store, model)) for store in stores])


def _generate(llm: LLM, requests: list[Request], at_once: int) -> int:
    """Answer everything by ``LLM.generate`` on so many prompts at a time, and return the tokens made."""
    tokens = 0
    for start in range(0, len(requests), at_once):
        part = requests[start : start + at_once]
        inputs: Any = [tokens_input(request.prompt_token_ids) for request in part]
        parameters = [
            SamplingParams(temperature=0, max_tokens=_length(request), ignore_eos=True, detokenize=False) for request in part
        ]
        outputs = llm.generate(inputs, parameters, use_tqdm=False)
        tokens += sum(len(output.outputs[0].token_ids) for output in outputs)
    return tokens


def _length(request: Request) -> int:
    """Return how long the answer to a request is: log-normal, always the same."""
    random = np.random.default_rng(request.seed)
    return int(np.clip(math.exp(random.normal(math.log(40), 1.0)), 4, MAX_NEW_TOKENS))


def _count_steps(llm: LLM) -> list[int]:
    """Return a list that grows by one with every step of the engine."""
    steps: list[int] = []
    step = llm.llm_engine.step

    def counted() -> Any:
        steps.append(1)
        return step()

    llm.llm_engine.step = counted
    return steps


def _paired(theirs: list[float], ours: list[float]) -> float:
    """Return the median over the rounds of their time against ours: neighbours in time saw the same load."""
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


def _write_model(folder: Path) -> Path:
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=512, intermediate_size=1536, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=4, head_dim=64, max_position_embeddings=1024, dtype="bfloat16",
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
