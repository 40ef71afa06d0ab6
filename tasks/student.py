"""The student stage: a model is trained on examples in a process of its own, resumable from its last whole checkpoint."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import INTERRUPTIONS
from tasks.core.caching import Stage
from tasks.core.errors import SettingsError
from tasks.core.progress import stage_logger
from tasks.core.records import EXAMPLES, LOGPROBS
from tasks.core.storage import open_store
from tasks.core.weights import WEIGHTS, locate_weights, weight_bytes
from tasks.renderers.charts.losses import plot_losses
from tasks.renderers.charts.standalone import standalone
from tasks.training.checkpoints.mirror import CheckpointMirror
from tasks.training.job import TrainingJob
from tasks.training.launch import run_training
from tasks.training.settings import LOGPROB_METHODS, TrainingSettings
from tasks.training.summary import publish_training, summarise_training
from tasks.training.tally import STEPS, StepTally

STAGE = Stage("student", version=2)
METRICS_FILE = "metrics.jsonl"
CURVE_FILE = "loss_curve.svg"


@STAGE.task
def train(
    settings: TrainingSettings, store: str, dataset: Artifact, start: Artifact, teacher: Artifact | None = None
) -> Artifact:
    """Train a model on a dataset.

    Args:
        settings: How it is trained.
        store: URL of the artefact store.
        dataset: A ``dataset`` artefact.
        start: The ``model`` artefact whose weights the training starts from.
        teacher: The teacher's artefact, for the methods that hold it in memory.

    Returns:
        Handle of a ``student`` artefact: weights and tokenizer, the training's metrics and its loss curve.

    Raises:
        PreemptedError: If the training was told to stop; run again to resume it.
        SettingsError: If the dataset has not what the method trains on.
        StageFailedError: If the training process failed.
    """
    _require_candidates(settings, dataset)
    inputs = {"dataset": dataset, "start": start} | ({} if teacher is None else {"teacher": teacher})
    with STAGE.draft(store, settings, **inputs) as draft, AttemptJournal(open_store(store), draft.key, STEPS) as journal:
        job = TrainingJob(
            settings=settings,
            examples=open_file(dataset, EXAMPLES.file),
            weights=locate_weights(start),
            teacher=None if teacher is None else locate_weights(teacher),
            output=draft.path / WEIGHTS,
            workspace=draft.scratch,
        )
        with _mirrored(job, store, draft.key) as watch:
            metrics = run_training(job, watch, StepTally(journal, job.checkpoints).take)
            findings = json.loads(job.findings.read_text(encoding="utf-8"))
            (draft.path / METRICS_FILE).write_bytes(job.metrics.read_bytes())
            (draft.path / CURVE_FILE).write_text(standalone(plot_losses(job.metrics)), encoding="utf-8")
            draft.counts = {"steps": int(metrics[-1]["step"]), "weight_bytes": weight_bytes(job.output)}
            interruptions = journal.interruptions()
            draft.summary = {**summarise_training(metrics, findings), INTERRUPTIONS: interruptions.model_dump()}
            publish_training(f"student-{start.fingerprint[:8]}-figures", draft.summary)
            stage_logger().info("student: trained %s", {**draft.counts, **draft.summary})
            made = draft.publish()
            journal.settle()
            return made


@contextmanager
def _mirrored(job: TrainingJob, store: str, key: str) -> Iterator[Callable[[], None] | None]:
    """Keep a copy of the checkpoints in the store until the block ends well, where the workspace is not in the store itself.

    Yields what copies new checkpoints, to be called now and then; None where no copy is needed.
    """
    opened = open_store(store)
    if opened.keeps_scratch:
        yield None
        return
    mirror = CheckpointMirror(opened, f"checkpoints/{key}", job.checkpoints, job.identity)
    mirror.restore()
    try:
        yield mirror.note_new
    except BaseException:  # a stop signal too: the last checkpoint is what the next machine goes on from
        mirror.flush(job.settings.runtime.grace_seconds)
        raise
    mirror.remove()


def _require_candidates(settings: TrainingSettings, dataset: Artifact) -> None:
    """Refuse a dataset whose candidates are not of the form that the method trains on."""
    if settings.method not in LOGPROB_METHODS:
        return
    stored = read_record(dataset).summary[LOGPROBS]
    wants_draws = settings.method == "sampled_kd"
    if stored is None or not stored["top_k"] or (stored["draws"] is not None) != wants_draws:
        remedy = (
            "generations.logprobs: {top_k: 64, draws: 12}" if wants_draws else "generations.logprobs: {top_k: 16}, without draws"
        )
        raise SettingsError(f"{settings.method} was asked for and the dataset's log-probabilities are {stored}; set {remedy}")
