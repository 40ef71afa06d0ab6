"""The evaluation stage: one model answers the test prompts; what it said, how right it was, how fast, in how much memory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.process import run_worker
from tasks.core.progress import stage_logger
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights, weight_bytes
from tasks.generating.asking import FAILURES
from tasks.metrics.custom import PATH_PATTERN, load_metric, source_digest
from tasks.metrics.intervals import bootstrap_median
from tasks.task_types import TASK_TYPES, TaskType
from tasks.task_types.custom import custom_type
from tasks.task_types.scoring import score_answer, summarise_tasks
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.identity import endpoint_of, teacher_name
from tasks.teachers.measured import Answer, Measurement, MeasuringJob
from tasks.teachers.settings import EngineRuntime, Sampling, StructuredOutput

STAGE = Stage("evaluation", version=3)
LATENCIES_FILE = "latencies.json"


class EvaluationSettings(Section):
    """How each model is tested; the same for all of them."""

    sampling: Sampling = Sampling()
    """What decides an answer."""

    custom_metric: str | None = Field(default=None, pattern=f"^{PATH_PATTERN}$")
    """What scores the answers of the task `custom`: `package.module:function`, a function that is marked with `metric` of
    `tasks.metrics.custom`; empty: an answer must be one of the references."""

    latency_requests: int = Field(default=50, ge=5)
    """Requests sent one at a time to measure latency."""

    engine: EngineRuntime = EngineRuntime()
    """The engine's settings; part of the identity here, for they decide speed and memory."""

    endpoint: EndpointRuntime = EndpointRuntime()
    """How a teacher that is an endpoint is asked; part of the identity here, for it decides speed and cost."""

    def identity(self) -> dict[str, Any]:
        """Return the settings, with the content of the custom metric's module."""
        return super().identity() | ({"custom_metric_source": source_digest(self.custom_metric)} if self.custom_metric else {})

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.endpoint.batch:
            raise ValueError("evaluation.endpoint.batch: a batch tells nothing about speed; leave it off for the test prompts")
        return self


@STAGE.task
def evaluate(settings: EvaluationSettings, store: str, prompts: Artifact, model: Artifact) -> Artifact:
    """Test one model.

    Args:
        settings: How it is tested.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact; its test split is answered.
        model: A ``model`` artefact, of weights or of an endpoint, or a ``student`` artefact.

    Returns:
        Handle of an ``evaluation`` artefact: predictions.parquet and latencies.json; the record's summary has metrics and
        rates by task, speed, memory, size and cost. Memory and size of an endpoint's model are None: they cannot be known.

    Raises:
        DataError: If a test prompt is longer than the engine's limit.
        SettingsError: If the endpoint denies access or does not know the model, or the custom metric cannot be found.
        StageFailedError: If the engine failed, or the endpoint failed too many test prompts.
        BudgetExceededError: If the endpoint's budget has no room for all test prompts.
    """
    with STAGE.draft(store, settings, prompts=prompts, model=model) as draft:
        items = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "test"]
        labels = read_record(prompts).summary["labels"]
        settings = _with_choices(settings, labels)
        types = _task_types(settings)
        endpoint, weights = endpoint_of(model), None
        if endpoint is None:
            stage_logger().info("evaluation: %d items, in a fresh process", len(items))
            weights = locate_weights(model)
            measurement = _measure(prompts, weights, settings, draft.scratch)
        else:
            stage_logger().info("evaluation: %d items, by %s at %s", len(items), endpoint.model, endpoint.url)
            measurement = _ask(endpoint, items, settings, draft.scratch)
        predictions = [_score(types[item["task"]], item, labels, measurement.answers[item["id"]]) for item in items]
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, predictions)
        latencies = measurement.latencies_seconds
        (draft.path / LATENCIES_FILE).write_text(json.dumps(latencies), encoding="utf-8")
        draft.counts = {"items": len(items), "invalid": sum(row["answer"] is None for row in predictions)}
        if failed := sum(row["finish_reason"] in FAILURES for row in predictions):
            draft.counts["failed"] = failed
        draft.summary = {
            "name": teacher_name(model),
            "tasks": summarise_tasks(predictions),
            "latency_seconds": bootstrap_median(latencies).model_dump(),
            "items_per_second": measurement.items_per_second,
            "tokens_per_second": measurement.tokens_per_second,
            "peak_memory_bytes": measurement.peak_memory_bytes,
            "weight_bytes": None if weights is None else weight_bytes(weights),
            "cost_per_1k_requests": measurement.cost_per_1k_requests,
        }
        stage_logger().info("evaluation: %s %s", draft.counts, draft.summary)
        return draft.publish()


def _with_choices(settings: EvaluationSettings, labels: Sequence[str]) -> EvaluationSettings:
    """Return the settings with the labels spelled out where answers must be one of them."""
    form = settings.sampling.structured_output
    if form is None or not form.labels:
        return settings
    sampling = settings.sampling.model_copy(update={"structured_output": StructuredOutput(choice=tuple(labels))})
    return settings.model_copy(update={"sampling": sampling})


def _task_types(settings: EvaluationSettings) -> dict[str, TaskType]:
    if settings.custom_metric is None:
        return TASK_TYPES
    own = custom_type(load_metric(settings.custom_metric))
    return {**TASK_TYPES, own.name: own}


def _ask(endpoint: EndpointSettings, items: Sequence[Prompt], settings: EvaluationSettings, workspace: Path) -> Measurement:
    from tasks.teachers.endpoint.measured import measure_endpoint

    kept = workspace / "paid_answers.jsonl"
    return measure_endpoint(endpoint, items, settings.sampling, settings.endpoint, settings.latency_requests, kept)


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


def _score(task: TaskType, item: Prompt, labels: Sequence[str], answer: Answer) -> Prediction:
    failed = answer.finish_reason in FAILURES
    return score_answer(task, item, labels, answer.text, answer.finish_reason, answer.completion_tokens, failed)
