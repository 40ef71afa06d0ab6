"""The student stage: a model is trained on examples in a process of its own, resumable from its last whole checkpoint."""

from tasks.core.artifact import Artifact, open_file
from tasks.core.caching import Stage
from tasks.core.progress import stage_logger
from tasks.core.records import EXAMPLES
from tasks.core.weights import WEIGHTS, locate_weights, weight_bytes
from tasks.trainers.launch import run_training
from tasks.trainers.settings import TrainingJob, TrainingSettings

STAGE = Stage("student", version=1)
METRICS_FILE = "metrics.jsonl"


@STAGE.task
def train(settings: TrainingSettings, store: str, dataset: Artifact, start: Artifact) -> Artifact:
    """Train a model on a dataset.

    Args:
        settings: How it is trained.
        store: URL of the artefact store.
        dataset: A ``dataset`` artefact.
        start: The ``model`` artefact whose weights the training starts from.

    Returns:
        Handle of a ``student`` artefact: weights and tokenizer, and the training's metrics.

    Raises:
        PreemptedError: If the training was told to stop; run again to resume it.
        StageFailedError: If the training process failed.
    """
    with STAGE.draft(store, settings, dataset=dataset, start=start) as draft:
        weights = draft.path / WEIGHTS
        job = TrainingJob(
            settings=settings,
            examples=open_file(dataset, EXAMPLES.file),
            weights=locate_weights(start),
            output=weights,
            workspace=draft.scratch,
        )
        metrics = run_training(job)
        (draft.path / METRICS_FILE).write_bytes(job.metrics.read_bytes())
        last = metrics[-1]
        draft.counts = {"steps": int(last["step"]), "weight_bytes": weight_bytes(weights)}
        draft.summary = {
            "train_loss": last.get("train_loss"),
            "eval_loss": next((row["eval_loss"] for row in reversed(metrics) if "eval_loss" in row), None),
            "train_seconds": last.get("train_runtime"),
        }
        stage_logger().info("student: trained %s", {**draft.counts, **draft.summary})
        return draft.publish()
