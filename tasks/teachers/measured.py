"""One model's answers, speed and memory, by an engine in a fresh process: ``python -m tasks.teachers.measured JOB.json``.

A process that ran another model before would hand memory of that one to this one and count too little; the first engine of a
process would count the libraries that it loads and count too much. So the process is fresh, and a dummy engine goes first.
"""

import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from tasks.core.energy import EnergyMeter
from tasks.core.environment import has_cuda, loading_libraries, prepare_libraries
from tasks.core.errors import ModelError
from tasks.core.memory import PeakMemory
from tasks.core.process import end_with_parent
from tasks.core.progress_lines import LineProgress
from tasks.core.records import PROMPTS, Prompt
from tasks.core.rendering import render_prompt
from tasks.core.tables import read_table
from tasks.core.weights import loaded_weight_bytes
from tasks.fidelity.job import FollowedTexts, OwnTexts
from tasks.fidelity.own_texts import go_over_own_texts
from tasks.metrics.intervals import bootstrap_median
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.loads import LoadPlan, measure_load
from tasks.teachers.samples import SamplePlan, by_prompt, sample_requests
from tasks.teachers.serving import Load, Serving, ServingMemory
from tasks.teachers.settings import EngineRuntime, Sampling

if TYPE_CHECKING:
    from tasks.teachers.vllm import Engine

_WARM_UP_REQUESTS = 3


class MeasuringJob(BaseModel):
    """What to run, and where the result goes."""

    prompts: Path
    """Parquet file of prompts; the test split is answered."""
    weights: Path
    """Folder of the model's weights and tokenizer."""
    sampling: Sampling
    engine: EngineRuntime
    loads: LoadPlan
    """How much it is asked at once when it is timed."""
    progress: Path
    """File of progress lines to write."""
    result: Path
    """JSON file to write."""
    fidelity: OwnTexts | FollowedTexts | None = Field(discriminator="side")
    """What the model is taken through once it is measured; None: nothing."""
    votes: SamplePlan | None
    """How answers are sampled once it is measured, for a vote; None: they are not."""


class Answer(BaseModel):
    """One answer as it was given."""

    text: str
    finish_reason: str
    completion_tokens: int


class Measurement(BaseModel):
    """The result."""

    answers: dict[str, Answer]
    """By prompt id."""
    samples: dict[str, list[Answer]]
    """Sampled answers to a prompt, for a vote, by its id; only where they were asked for."""
    latencies_seconds: list[float]
    """Of requests that were alone."""
    serving: Serving


class PromptTooLong(BaseModel):
    """The result where a prompt is longer than the settings allow: nothing was asked."""

    tokens: int
    """Of the longest prompt."""


def measure(job: MeasuringJob) -> Measurement | PromptTooLong:
    """Answer test prompts at one concurrency after the other, and then all of them at once, which gives the answers."""
    with loading_libraries():
        from tasks.teachers.vllm import Engine

    peak = None if has_cuda() else PeakMemory()
    if peak is not None:  # on CUDA the engine is a process of its own
        _run_dummy_engine(job.engine)
    items = [prompt for prompt in read_table(job.prompts, PROMPTS) if prompt["split"] == "test"]
    with peak or nullcontext(), Engine(job.weights, job.sampling, job.engine, disable_log_stats=False) as engine:
        requests = [
            Request(item["id"], render_prompt(engine.tokenizer, item["messages"], item["text"]), seed=0) for item in items
        ]
        longest = max(len(request.prompt_token_ids) for request in requests)
        if longest > job.sampling.max_prompt_tokens:
            return PromptTooLong(tokens=longest)
        loads, latencies = _measure_loads(engine, requests, job)
        engine.forget_prompts()
        with EnergyMeter(job.engine.gpus) as energy:
            started = time.monotonic()
            completions = _answer(engine, requests, job.progress, "items")
            seconds = time.monotonic() - started
        peak_bytes = None if peak is None else peak.peak_bytes  # what follows is no part of serving
        if isinstance(job.fidelity, OwnTexts):
            go_over_own_texts(job.fidelity, engine, items, requests, completions)
        answers = _decoded(engine, completions)
        samples = {} if job.votes is None else _sample(engine, items, requests, job.votes, job.progress)
        dtype, memory = engine.dtype, _needed_memory(engine, job)
    if isinstance(job.fidelity, FollowedTexts):
        from tasks.fidelity.following import follow_texts

        follow_texts(job.fidelity, job.weights, dtype, items)
    serving = Serving(
        latency_seconds=bootstrap_median(latencies),
        loads=loads,
        items_per_second=len(items) / seconds,
        tokens_per_second=sum(len(row.token_ids) for row in completions) / seconds,
        memory=memory,
        peak_memory_bytes=peak_bytes,
        energy_joules_per_item=None if energy.joules is None else energy.joules / len(items),
        cost_per_1k_requests=None,
        dtype=dtype,
    )
    return Measurement(answers=answers, samples=samples, latencies_seconds=latencies, serving=serving)


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


def _measure_loads(engine: "Engine", requests: list[Request], job: MeasuringJob) -> tuple[list[Load], list[float]]:
    """Return the figures at each concurrency, and the seconds of each request that was alone."""
    warm_up = [replace(request, key=f"warm-up-{request.key}") for request in requests[:_WARM_UP_REQUESTS]]
    list(engine.stream(ListFeed(warm_up), in_flight=1))
    loads, latencies = list[Load](), list[float]()
    for concurrency in job.loads.levels:
        engine.forget_prompts()
        stream = partial(engine.stream, in_flight=concurrency)
        found = measure_load(stream, requests, concurrency, job.loads, partial(LineProgress, job.progress))
        if found is None:
            raise ModelError(f"the engine takes none of {len(requests)} test prompts, {concurrency} at once; look at them")
        loads.append(found[0])
        latencies = latencies or found[1]  # of the first concurrency, which is 1
    return loads, latencies


def _needed_memory(engine: "Engine", job: MeasuringJob) -> ServingMemory:
    tokens = job.sampling.context_tokens
    return ServingMemory(
        weight_bytes=loaded_weight_bytes(job.weights, engine.value_bytes),
        kv_bytes_per_token=engine.kv_bytes(1),
        kv_bytes_per_request=engine.kv_bytes(tokens),
        request_tokens=tokens,
        requests=min(job.loads.levels[-1], engine.max_requests),
    )


def _answer(engine: "Engine", requests: list[Request], progress: Path, what: str) -> list[Completion]:
    counter, completions = LineProgress(progress, f"evaluation: {what}", len(requests)), list[Completion]()
    for completion in engine.stream(ListFeed(requests)):
        completions.append(completion)
        counter.advance()
    return completions


def _sample(
    engine: "Engine", items: list[Prompt], requests: list[Request], plan: SamplePlan, progress: Path
) -> dict[str, list[Answer]]:
    asked = sample_requests(plan, items, requests)
    engine.sample(plan.temperature)
    missing = Answer(text="", finish_reason="error", completion_tokens=0)
    return by_prompt(asked, _decoded(engine, _answer(engine, asked, progress, "samples")), missing)


def _decoded(engine: "Engine", completions: list[Completion]) -> dict[str, Answer]:
    """Return the answers with their texts, by the keys of their requests."""
    texts = engine.decode([row.token_ids for row in completions])
    return {
        row.key: Answer(
            text=row.text if row.text is not None else text,
            finish_reason=row.finish_reason,
            completion_tokens=len(row.token_ids),
        )
        for row, text in zip(completions, texts, strict=True)
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
