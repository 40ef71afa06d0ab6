"""Continuous generation with shards against one ``LLM.generate`` over the same prompts, in one process and one run.

A two-layer model with dummy weights and answers of very different length (log-normal), so that draining the batch would show.
"""

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.environment import prepare_libraries
from tasks.core.ledger import Ledger, row_key, row_seed
from tasks.core.records import Generation

prepare_libraries()

from transformers import LlamaConfig
from vllm import LLM, SamplingParams
from vllm.inputs import tokens_input

from tasks.teachers.exchange import Request
from tasks.teachers.settings import EngineRuntime, Sampling
from tasks.teachers.vllm import Engine

ROWS, NUM_SEQS, MAX_NEW_TOKENS, SHARD_ROWS = 768, 64, 512, 64
SAMPLING = Sampling(max_new_tokens=MAX_NEW_TOKENS, max_prompt_tokens=64, dtype="bfloat16")
RUNTIME = EngineRuntime(max_num_seqs=NUM_SEQS, kv_cache_bytes=256 << 20)


class FixedLengthEngine(Engine):
    """The product's engine, made to answer with lengths that are known beforehand."""

    lengths: dict[str, int]

    def _parameters(self, request: Request) -> SamplingParams:
        parameters = super()._parameters(request)
        parameters.max_tokens, parameters.ignore_eos = self.lengths[request.key], True
        return parameters


def main() -> None:
    """Print the step ratio and the throughput ratio."""
    random = np.random.default_rng(0)
    lengths = np.clip(np.exp(random.normal(math.log(40), 1.0, ROWS)), 4, MAX_NEW_TOKENS).astype(int).tolist()
    prompts: list[list[int]] = [random.integers(3, 4000, size=int(random.integers(8, 48))).tolist() for _ in range(ROWS)]
    keys = [row_key("bench", prompt, number) for number, prompt in enumerate(prompts)]
    extra: dict[str, Any] = {"load_format": "dummy", "skip_tokenizer_init": True, "enable_prefix_caching": False}
    with tempfile.TemporaryDirectory() as folder:
        model = _write_config(Path(folder) / "model")
        with FixedLengthEngine(model, SAMPLING, RUNTIME, **extra) as engine:
            engine.lengths = dict(zip(keys, lengths, strict=True))
            ledger = Ledger(str(Path(folder) / "store"), "bench")
            requests = [Request(key, prompt, row_seed(key)) for key, prompt in zip(keys, prompts, strict=True)]
            list(engine.stream(requests[:NUM_SEQS]))
            engine.steps, started, tokens, shard = 0, time.monotonic(), 0, []
            for completion in engine.stream(requests):
                tokens += len(completion.token_ids)
                shard.append(
                    Generation(
                        key=completion.key,
                        answer="",
                        token_ids=completion.token_ids,
                        finish_reason=completion.finish_reason,
                        prompt_tokens=0,
                        seed=0,
                    )
                )
                if len(shard) == SHARD_ROWS:
                    ledger.commit(shard)
                    shard = []
            ours, our_steps, our_tokens = time.monotonic() - started, engine.steps, tokens
        theirs, their_steps, their_tokens = _one_generate(model, prompts, lengths, extra)
    if our_tokens != their_tokens:
        raise ValueError(f"the two ways made {our_tokens} and {their_tokens} tokens; they must do the same work")
    reference = f"one LLM.generate over the same {ROWS} prompts: {their_steps} steps, {their_tokens / theirs:.0f} tokens/s"
    _show("generation_steps_ratio", our_steps / their_steps, "steps / steps", reference)
    _show("generation_throughput_ratio", (our_tokens / ours) / (their_tokens / theirs), "tokens/s / tokens/s", reference)


def _one_generate(model: Path, prompts: list[list[int]], lengths: list[int], extra: dict[str, Any]) -> tuple[float, int, int]:
    llm = LLM(
        str(model),
        dtype="bfloat16",
        max_model_len=SAMPLING.context_tokens,
        enforce_eager=True,
        max_num_seqs=NUM_SEQS,
        kv_cache_memory_bytes=RUNTIME.kv_cache_bytes,
        **extra,
    )
    parameters = [SamplingParams(temperature=0, max_tokens=n, ignore_eos=True, detokenize=False) for n in lengths]
    inputs: Any = [tokens_input(prompt) for prompt in prompts]
    llm.generate(inputs[:NUM_SEQS], parameters[:NUM_SEQS], use_tqdm=False)
    steps, step = 0, llm.llm_engine.step

    def counted() -> Any:
        nonlocal steps
        steps += 1
        return step()

    llm.llm_engine.step = counted
    started = time.monotonic()
    outputs = llm.generate(inputs, parameters, use_tqdm=False)
    return time.monotonic() - started, steps, sum(len(output.outputs[0].token_ids) for output in outputs)


def _write_config(folder: Path) -> Path:
    config = LlamaConfig(
        vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=1024, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(folder)
    return folder


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
