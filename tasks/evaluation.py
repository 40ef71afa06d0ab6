"""The evaluation stage: one model answers the test prompts; what it said, how right it was, how fast, in how much memory."""

import json
from pathlib import Path

from pydantic import Field

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.process import run_worker
from tasks.core.progress import stage_logger
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights, weight_bytes
from tasks.metrics import CLOSED_SET_METRICS, METRICS, OPEN_METRICS
from tasks.metrics.answers import normalise_answer, normalise_label
from tasks.metrics.intervals import bootstrap_median
from tasks.teachers.measured import Answer, Measurement, MeasuringJob
from tasks.teachers.settings import EngineRuntime, Sampling

STAGE = Stage("evaluation", version=1)
LATENCIES_FILE = "latencies.json"


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
    with STAGE.draft(store, settings, prompts=prompts, model=model) as draft:
        items = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "test"]
        weights = locate_weights(model)
        stage_logger().info("evaluation: %d items, in a fresh process", len(items))
        measurement = _measure(prompts, weights, settings, draft.scratch)
        labels = read_record(prompts).summary["labels"]
        predictions = [_score(item, measurement.answers[item["id"]], closed=bool(labels)) for item in items]
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, predictions)
        latencies = measurement.latencies_seconds
        (draft.path / LATENCIES_FILE).write_text(json.dumps(latencies), encoding="utf-8")
        known = {normalise_label(label) for label in labels}
        texts, references = [row["answer"] for row in predictions], [row["reference"] for row in predictions]
        draft.counts = {"items": len(items), "correct": sum(row["correct"] for row in predictions)}
        draft.summary = {
            "metrics": {name: METRICS[name](texts, references) for name in (CLOSED_SET_METRICS if labels else OPEN_METRICS)},
            "invalid_ratio": sum(text not in known for text in texts) / len(texts) if known else None,
            "latency_seconds": bootstrap_median(latencies).model_dump(),
            "items_per_second": measurement.items_per_second,
            "tokens_per_second": measurement.tokens_per_second,
            "peak_memory_bytes": measurement.peak_memory_bytes,
            "weight_bytes": weight_bytes(weights),
        }
        stage_logger().info("evaluation: %s %s", draft.counts, draft.summary)
        return draft.publish()


def _measure(prompts: Artifact, weights: Path, settings: EvaluationSettings, workspace: Path) -> Measurement:
    """Run the model in a fresh process, so that nothing that ran before counts as its memory."""
    job = MeasuringJob(
        prompts=open_file(prompts, PROMPTS.file),
        weights=weights,
        sampling=settings.sampling,
        engine=settings.engine,
        latency_requests=settings.latency_requests,
        result=workspace / "measurement.json",
    )
    job_file = workspace / "job.json"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    run_worker("tasks.teachers.measured", job_file, workspace / "worker.log", grace_seconds=5)
    measurement = Measurement.model_validate_json(job.result.read_bytes())
    limit = settings.sampling.max_prompt_tokens
    if measurement.longest_prompt_tokens > limit:
        raise DataError(
            f"a test prompt has {measurement.longest_prompt_tokens} tokens, more than evaluation.sampling.max_prompt_tokens = "
            f"{limit}; raise the limit or shorten the prompt"
        )
    return measurement


def _score(item: Prompt, answer: Answer, *, closed: bool) -> Prediction:
    normalise = normalise_label if closed else normalise_answer
    said, wanted = normalise(answer.text), normalise(item["reference"] or "")
    return Prediction(id=item["id"], answer=said, reference=wanted, correct=said == wanted, finish_reason=answer.finish_reason)
