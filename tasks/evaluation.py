"""The evaluation stage: one model answers the test prompts; what it said, how right it was, how fast, in how much memory."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, model_validator

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.process import run_worker
from tasks.core.progress import Progress, stage_logger
from tasks.core.progress_lines import ProgressReader
from tasks.core.records import PREDICTIONS, PROMPTS, SAMPLES, Prediction, Prompt, Sample
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights
from tasks.fidelity.job import FollowedTexts, OwnTexts
from tasks.fidelity.plan import NOT_COMPARED, plan_following, plan_own_texts
from tasks.generating.asking import FAILURES
from tasks.metrics.custom import PATH_PATTERN, load_metric, source_digest
from tasks.task_types import TASK_TYPES, TaskType
from tasks.task_types.custom import custom_type
from tasks.task_types.scoring import score_answer, summarise_tasks
from tasks.task_types.voting import with_vote
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.identity import endpoint_of, teacher_name
from tasks.teachers.loads import LoadPlan, shortfalls
from tasks.teachers.measured import Answer, Measurement, MeasuringJob, PromptTooLong
from tasks.teachers.samples import SamplePlan
from tasks.teachers.settings import EngineRuntime, Sampling

STAGE = Stage("evaluation", version=10)
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

    load_concurrencies: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (1, 4, 16, 64)
    """Numbers of requests that are kept under way to measure speed under load; 1 is measured whether it is named or not."""

    load_requests: int = Field(default=128, ge=8)
    """Most requests sent at each of these; four times as many as are under way if that is less. An endpoint charges for them."""

    load_seconds: float = Field(default=60, gt=0)
    """When no more requests are sent at one of these, also where there should be more; those under way are waited for."""

    samples: int = Field(default=1, ge=1, le=64)
    """Answers that are sampled to each test prompt and put to the vote, for `maj@k` beside the other scores, of every task in
    which answers can agree. They are asked beside the one that `sampling` gives; 1: that one alone."""

    sample_temperature: float = Field(default=0.7, gt=0, le=2)
    """Temperature of these samples."""

    fidelity_candidates: int = Field(default=16, ge=0, le=20)
    """Likeliest tokens that are kept in every place of the teacher's answers to the test prompts. The other models are taken
    through these answers, and their distributions compared with the teacher's, in one pass each; 0: nothing is compared."""

    fidelity_items: int = Field(default=200, ge=1)
    """Test prompts of which this is done, at most, evenly spread over all; on a CPU each takes as long as two answers or so."""

    engine: EngineRuntime = EngineRuntime()
    """The engine's settings; part of the identity here, for they decide speed and memory."""

    endpoint: EndpointRuntime = EndpointRuntime()
    """How a teacher that is an endpoint is asked; part of the identity here, for it decides speed and cost."""

    @property
    def loads(self) -> LoadPlan:
        """What is sent to measure speed."""
        return LoadPlan(
            concurrencies=self.load_concurrencies,
            alone_requests=self.latency_requests,
            max_requests=self.load_requests,
            max_seconds=self.load_seconds,
        )

    @property
    def votes(self) -> SamplePlan | None:
        """What is sampled for a vote."""
        return SamplePlan(samples=self.samples, temperature=self.sample_temperature) if self.samples > 1 else None

    def identity(self) -> dict[str, Any]:
        """Return the settings, with the content of the custom metric's module."""
        return super().identity() | ({"custom_metric_source": source_digest(self.custom_metric)} if self.custom_metric else {})

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.endpoint.batch:
            raise ValueError("evaluation.endpoint.batch: a batch tells nothing about speed; leave it off for the test prompts")
        return self


@STAGE.task
def evaluate(
    settings: EvaluationSettings, store: str, prompts: Artifact, model: Artifact, teacher_evaluation: Artifact | None = None
) -> Artifact:
    """Test one model.

    Args:
        settings: How it is tested.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact; its test split is answered.
        model: A ``model`` artefact, of weights or of an endpoint, or a ``student`` artefact.
        teacher_evaluation: The ``evaluation`` artefact of the teacher whose answers the model is taken through; None: the model
            is the teacher itself.

    Returns:
        Handle of an ``evaluation`` artefact: predictions.parquet and latencies.json, of weights also fidelity.parquet, of a
        teacher's candidates.parquet, and samples.parquet where answers were sampled; the record's summary has metrics and rates
        by task, and the ``Serving`` figures.

    Raises:
        DataError: If a test prompt is longer than the engine's limit.
        SettingsError: If the endpoint denies access or does not know the model, or the custom metric cannot be found, or
            answers must be labels and there are none.
        StageFailedError: If the engine failed, or the endpoint failed too many test prompts.
        BudgetExceededError: If the endpoint's budget has no room for all test prompts.
    """
    of_teacher = {} if teacher_evaluation is None else {"teacher_evaluation": teacher_evaluation}
    with STAGE.draft(store, settings, prompts=prompts, model=model, **of_teacher) as draft:
        items = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "test"]
        labels = read_record(prompts).summary["labels"]
        settings = settings.model_copy(update={"sampling": settings.sampling.with_labels(labels)})
        types = _task_types(settings)
        endpoint, not_compared = endpoint_of(model), None
        if endpoint is None:
            stage_logger().info("evaluation: %d items, in a fresh process", len(items))
            fidelity, not_compared = _plan_fidelity(settings, model, teacher_evaluation, draft.path)
            measurement = _measure(prompts, locate_weights(model), settings, draft.scratch, fidelity)
        else:
            stage_logger().info("evaluation: %d items, by %s at %s", len(items), endpoint.model, endpoint.url)
            measurement = _ask(endpoint, items, settings, draft.scratch)
        samples = [
            row for item in items for row in _samples(types[item["task"]], item, labels, measurement.samples.get(item["id"], []))
        ]
        predictions = [_score(types[item["task"]], item, labels, measurement.answers[item["id"]]) for item in items]
        if samples:
            predictions = _with_votes(types, predictions, samples)
            write_table(draft.path / SAMPLES.file, SAMPLES, samples)
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, predictions)
        (draft.path / LATENCIES_FILE).write_text(json.dumps(measurement.latencies_seconds), encoding="utf-8")
        draft.counts = {"items": len(items), "invalid": sum(row["answer"] is None for row in predictions)}
        if failed := sum(row["finish_reason"] in FAILURES for row in predictions):
            draft.counts["failed"] = failed
        if samples:
            draft.counts["samples"] = len(samples)
        draft.summary = {
            "name": teacher_name(model),
            "tasks": summarise_tasks(predictions),
            "serving": measurement.serving.model_dump(),
            **({} if not_compared is None else {NOT_COMPARED: not_compared}),
        }
        for shortfall in shortfalls(settings.loads, measurement.serving.loads, len(items)):
            stage_logger().warning("evaluation: %s", shortfall)
        stage_logger().info("evaluation: %s %s", draft.counts, draft.summary)
        return draft.publish()


def _task_types(settings: EvaluationSettings) -> dict[str, TaskType]:
    if settings.custom_metric is None:
        return TASK_TYPES
    own = custom_type(load_metric(settings.custom_metric))
    return {**TASK_TYPES, own.name: own}


def _ask(endpoint: EndpointSettings, items: Sequence[Prompt], settings: EvaluationSettings, workspace: Path) -> Measurement:
    from tasks.teachers.endpoint.measured import measure_endpoint

    kept = workspace / "paid_answers.jsonl"
    return measure_endpoint(endpoint, items, settings.sampling, settings.endpoint, settings.loads, kept, settings.votes)


def _plan_fidelity(
    settings: EvaluationSettings, model: Artifact, teacher_evaluation: Artifact | None, folder: Path
) -> tuple[OwnTexts | FollowedTexts | None, str | None]:
    """Return what the model is taken through, and why that leaves out the teacher's answers, if it does."""
    if not settings.fidelity_candidates:
        return None, None
    if teacher_evaluation is None:
        return plan_own_texts(settings.fidelity_candidates, settings.fidelity_items, folder), None
    return plan_following(model, teacher_evaluation, settings.fidelity_items, folder)


def _measure(
    prompts: Artifact, weights: Path, settings: EvaluationSettings, workspace: Path, fidelity: OwnTexts | FollowedTexts | None
) -> Measurement:
    """Run the model in a fresh process, so that nothing that ran before counts as its memory."""
    job = MeasuringJob(
        prompts=open_file(prompts, PROMPTS.file),
        weights=weights,
        sampling=settings.sampling,
        engine=settings.engine,
        loads=settings.loads,
        progress=workspace / "progress.jsonl",
        result=workspace / "measurement.json",
        fidelity=fidelity,
        votes=settings.votes,
    )
    job_file = workspace / "job.json"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    show_progress = ProgressReader(job.progress, Progress)
    run_worker("tasks.teachers.measured", job_file, workspace / "worker.log", grace_seconds=5, watch=show_progress)
    result: Measurement | PromptTooLong = TypeAdapter(Measurement | PromptTooLong).validate_json(job.result.read_bytes())
    if isinstance(result, PromptTooLong):
        raise DataError(
            f"a test prompt has {result.tokens} tokens, more than evaluation.sampling.max_prompt_tokens = "
            f"{settings.sampling.max_prompt_tokens}; raise the limit or shorten the prompt"
        )
    return result


def _score(task: TaskType, item: Prompt, labels: Sequence[str], answer: Answer) -> Prediction:
    failed = answer.finish_reason in FAILURES
    return score_answer(task, item, labels, answer.text, answer.finish_reason, answer.completion_tokens, failed)


def _samples(task: TaskType, item: Prompt, labels: Sequence[str], answers: Sequence[Answer]) -> list[Sample]:
    return [
        Sample(
            id=item["id"],
            sample_index=number,
            completion=answer.text,
            answer=None if answer.finish_reason in FAILURES else task.read(answer.text, labels),
            finish_reason=answer.finish_reason,
            completion_tokens=answer.completion_tokens,
        )
        for number, answer in enumerate(answers)
    ]


def _with_votes(types: dict[str, TaskType], rows: Sequence[Prediction], samples: Sequence[Sample]) -> list[Prediction]:
    said: dict[str, list[str | None]] = defaultdict(list)
    for sample in samples:
        said[sample["id"]].append(sample["answer"])
    return [with_vote(row, types[row["task"]], said[row["id"]]) if row["id"] in said else row for row in rows]
