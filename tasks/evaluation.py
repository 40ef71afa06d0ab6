"""The evaluation stage: one model answers the test prompts; what it said, how right it was, how fast, in how much memory."""

import json
import time
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import DataError
from tasks.core.memory import PeakMemory
from tasks.core.progress import Progress, stage_logger
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.rendering import render_prompt
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights, weight_bytes
from tasks.metrics import METRICS
from tasks.metrics.answers import normalise_answer, normalise_label
from tasks.metrics.intervals import bootstrap_median
from tasks.teachers.settings import EngineRuntime, Sampling

STAGE = Stage("evaluation", version=1)
LATENCIES_FILE = "latencies.json"
_WARM_UP_REQUESTS = 3


class EvaluationSettings(Section):
    """How each model is tested; the same for all of them."""

    sampling: Sampling = Sampling()
    """What decides an answer."""

    latency_requests: int = Field(default=50, ge=5)
    """Requests sent one at a time to measure latency."""

    engine: EngineRuntime = EngineRuntime()
    """The engine's settings; part of the identity here, for they decide speed and memory."""


@STAGE.task
def evaluate(settings: EvaluationSettings, store: str, prompts: Artifact, model: Artifact) -> Artifact:
    """Test one model.

    Args:
        settings: How it is tested.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact; its test split is answered.
        model: A ``model`` or ``student`` artefact.

    Returns:
        Handle of an ``evaluation`` artefact: predictions.parquet and latencies.json; the record's summary has the metrics,
        speed, memory and size.

    Raises:
        DataError: If a test prompt is longer than the engine's limit.
    """
    prepare_libraries()
    with STAGE.draft(store, settings, prompts=prompts, model=model) as draft:
        items = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "test"]
        weights = locate_weights(model)
        answers, speed = _run(items, weights, settings)
        labels = read_record(prompts).summary["labels"]
        predictions = [_score(item, *answers[item["id"]], closed=bool(labels)) for item in items]
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, predictions)
        latencies = speed.pop("latencies")
        (draft.path / LATENCIES_FILE).write_text(json.dumps(latencies), encoding="utf-8")
        known = {normalise_label(label) for label in labels}
        texts, references = [row["answer"] for row in predictions], [row["reference"] for row in predictions]
        draft.counts = {"items": len(items), "correct": sum(row["correct"] for row in predictions)}
        draft.summary = {
            "metrics": {name: metric(texts, references) for name, metric in METRICS.items() if labels or name == "accuracy"},
            "invalid_ratio": sum(text not in known for text in texts) / len(texts) if known else None,
            "latency_seconds": bootstrap_median(latencies).model_dump(),
            **speed,
            "weight_bytes": weight_bytes(weights),
        }
        stage_logger().info("evaluation: %s %s", draft.counts, draft.summary)
        return draft.publish()


def _run(items: list[Prompt], weights: Path, settings: EvaluationSettings) -> tuple[dict[str, tuple[str, str]], dict[str, Any]]:
    """Return every item's answer and finish reason, and the figures of speed and memory."""
    from tasks.teachers.vllm import Engine, Request

    with PeakMemory() as memory, Engine(weights, settings.sampling, settings.engine) as engine:
        requests = [
            Request(item["id"], render_prompt(engine.tokenizer, item["messages"], item["text"]), seed=0) for item in items
        ]
        _check_lengths(requests, settings.sampling.max_prompt_tokens)
        list(engine.stream(_renamed("warm-up", requests[:_WARM_UP_REQUESTS]), in_flight=1))
        latencies: list[float] = []
        for request in _renamed("latency", requests[: settings.latency_requests]):
            started = time.monotonic()
            list(engine.stream([request], in_flight=1))
            latencies.append(time.monotonic() - started)
        progress, tokens, started = Progress("evaluation: items", len(items)), 0, time.monotonic()
        answers: dict[str, tuple[str, str]] = {}
        for completion in engine.stream(requests):
            tokens += len(completion.token_ids)
            answers[completion.key] = engine.decode(completion.token_ids), completion.finish_reason
            progress.advance()
        seconds = time.monotonic() - started
        peak = memory.measure()
    return answers, {
        "latencies": latencies,
        "items_per_second": len(items) / seconds,
        "tokens_per_second": tokens / seconds,
        "peak_memory_bytes": peak,
    }


def _renamed(prefix: str, requests: list[Any]) -> list[Any]:
    from dataclasses import replace

    return [replace(request, key=f"{prefix}-{request.key}") for request in requests]


def _check_lengths(requests: list[Any], limit: int) -> None:
    longest = max(requests, key=lambda request: len(request.prompt_token_ids))
    if len(longest.prompt_token_ids) > limit:
        raise DataError(
            f"the test prompt {longest.key} has {len(longest.prompt_token_ids)} tokens, more than "
            f"evaluation.sampling.max_prompt_tokens = {limit}; raise the limit or shorten the prompt"
        )


def _score(item: Prompt, answer: str, finish_reason: str, *, closed: bool) -> Prediction:
    normalise = normalise_label if closed else normalise_answer
    said, wanted = normalise(answer), normalise(item["reference"] or "")
    return Prediction(id=item["id"], answer=said, reference=wanted, correct=said == wanted, finish_reason=finish_reason)
