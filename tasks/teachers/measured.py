"""One model's answers, speed and memory, by an engine in a fresh process: ``python -m tasks.teachers.measured JOB.json``.

A process that ran another model before would hand memory of that one to this one and count too little; the first engine of a
process would count the libraries that it loads and count too much. So the process is fresh, and a dummy engine goes first.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from tasks.core.environment import has_cuda, loading_libraries, prepare_libraries
from tasks.core.memory import PeakMemory
from tasks.core.process import end_with_parent
from tasks.core.records import PROMPTS
from tasks.core.rendering import render_prompt
from tasks.core.tables import read_table
from tasks.teachers.exchange import ListFeed, Request
from tasks.teachers.settings import EngineRuntime, Sampling

_WARM_UP_REQUESTS = 3


class MeasuringJob(BaseModel):
    """What to run, and where the result goes."""

    prompts: Path
    """Parquet file of prompts; the test split is answered."""
    weights: Path
    """Folder of the model's weights and tokenizer."""
    sampling: Sampling
    engine: EngineRuntime
    latency_requests: int
    """Requests sent one at a time."""
    result: Path
    """JSON file to write."""


class Answer(BaseModel):
    """One answer as it was given."""

    text: str
    finish_reason: str
    completion_tokens: int


class Measurement(BaseModel):
    """The result."""

    answers: dict[str, Answer]
    """By prompt id."""
    longest_prompt_tokens: int
    latencies_seconds: list[float]
    """Of requests that were alone."""
    items_per_second: float
    tokens_per_second: float
    """Output tokens."""
    peak_memory_bytes: int | None
    """None where the model does not run on this machine."""
    cost_per_1k_requests: float | None = None
    """What an endpoint charges, in the currency of its prices."""


def measure(job: MeasuringJob) -> Measurement:
    """Answer the test prompts, some one at a time and then all at once."""
    with loading_libraries():
        from tasks.teachers.vllm import Engine

    if not has_cuda():  # on CUDA the engine is a process of its own, and the device's memory is read
        _run_dummy_engine(job.engine)
    items = [prompt for prompt in read_table(job.prompts, PROMPTS) if prompt["split"] == "test"]
    with PeakMemory() as memory, Engine(job.weights, job.sampling, job.engine) as engine:
        requests = [
            Request(item["id"], render_prompt(engine.tokenizer, item["messages"], item["text"]), seed=0) for item in items
        ]
        longest = max(len(request.prompt_token_ids) for request in requests)
        if longest > job.sampling.max_prompt_tokens:
            return Measurement(
                answers={}, longest_prompt_tokens=longest, latencies_seconds=[], items_per_second=0, tokens_per_second=0,
                peak_memory_bytes=0,
            )  # fmt: skip
        single = requests[: job.latency_requests]
        list(engine.stream(ListFeed(_renamed("warm-up", single[:_WARM_UP_REQUESTS])), in_flight=1))
        latencies: list[float] = []
        for request in _renamed("latency", single):
            started = time.monotonic()
            list(engine.stream(ListFeed([request]), in_flight=1))
            latencies.append(time.monotonic() - started)
        started = time.monotonic()
        completions = list(engine.stream(ListFeed(requests)))
        seconds = time.monotonic() - started
        texts = engine.decode([row.token_ids for row in completions])
        answers = {
            row.key: Answer(
                text=row.text if row.text is not None else text,
                finish_reason=row.finish_reason,
                completion_tokens=len(row.token_ids),
            )
            for row, text in zip(completions, texts, strict=True)
        }
    return Measurement(
        answers=answers,
        longest_prompt_tokens=longest,
        latencies_seconds=latencies,
        items_per_second=len(items) / seconds,
        tokens_per_second=sum(len(row.token_ids) for row in completions) / seconds,
        peak_memory_bytes=memory.peak_bytes,
    )


def main(job_file: str) -> int:
    """Measure as a job file says and return the exit status."""
    end_with_parent()
    prepare_libraries()
    job = MeasuringJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    job.result.write_text(measure(job).model_dump_json(), encoding="utf-8")
    return 0


def _run_dummy_engine(runtime: EngineRuntime) -> None:
    from transformers import LlamaConfig

    from tasks.teachers.vllm import Engine

    sampling = Sampling(max_new_tokens=2, max_prompt_tokens=16)
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1, dtype="bfloat16"
    )
    with tempfile.TemporaryDirectory() as folder:
        config.architectures = ["LlamaForCausalLM"]
        config.save_pretrained(folder)
        dummy = {"load_format": "dummy", "skip_tokenizer_init": True}
        with Engine(folder, sampling, runtime, **dummy) as engine:
            list(engine.stream(ListFeed([Request("dummy", [1, 2, 3], seed=0)])))


def _renamed(prefix: str, requests: Iterable[Request]) -> list[Request]:
    return [replace(request, key=f"{prefix}-{request.key}") for request in requests]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
