"""Starting a training process and showing its progress."""

import json
from pathlib import Path
from typing import Any

from tasks.core.process import run_worker
from tasks.core.progress import Progress
from tasks.trainers.settings import TrainingJob

_SHOWN = ("loss", "eval_loss", "learning_rate", "mean_token_accuracy")


def run_training(job: TrainingJob) -> list[dict[str, Any]]:
    """Run a training in a process of its own until it ends.

    Args:
        job: The training; its workspace exists, and holds the checkpoints of an earlier attempt if there was one.

    Returns:
        The metrics that the training logged, oldest first, those of earlier attempts included.

    Raises:
        PreemptedError: If the training was told to stop and left a checkpoint.
        StageFailedError: If it failed; the message has the end of its log.
    """
    job_file = job.workspace / "job.json"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    progress = _TrainingProgress(job.metrics)
    grace = job.settings.runtime.grace_seconds
    run_worker("tasks.trainers.worker", job_file, job.workspace / "worker.log", grace, watch=progress.show)
    return read_metrics(job.metrics)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a metrics file; a killed process may have left half of one at the end."""
    rows: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows


class _TrainingProgress:
    """Shows what was added to a metrics file since it last looked."""

    def __init__(self, metrics: Path) -> None:
        self._metrics = metrics
        self._seen = len(read_metrics(metrics))
        self._progress: Progress | None = None

    def show(self) -> None:
        rows = read_metrics(self._metrics)
        for row in rows[self._seen :]:
            if self._progress is None:
                self._progress = Progress("training: steps", int(row["max_steps"]), done=int(row["step"]))
            shown = {name: row[name] for name in _SHOWN if name in row}
            if shown:
                self._progress.move_to(int(row["step"]), **shown)
        self._seen = len(rows)
