"""Starting a training process, showing its progress, and passing a stop signal on to it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tasks.core.errors import PreemptedError, StageFailedError
from tasks.core.progress import Progress
from tasks.trainers.settings import TrainingJob
from tasks.trainers.worker import STOPPED

_POLL_SECONDS = 0.5
_SHOWN_LOG_LINES = 20


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
    job_file, log = job.workspace / "job.json", job.workspace / "worker.log"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.trainers.worker", str(job_file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C reaches it through us, once
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    try:
        _watch(process, job.metrics)
    except BaseException:  # a stop signal arrives here as an exception, whatever its kind
        _stop(process, job.settings.runtime.grace_seconds)
        raise
    if process.returncode == STOPPED:
        raise PreemptedError("the training was told to stop and left a checkpoint; run again to resume it")
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LOG_LINES:])
        raise StageFailedError(f"the training process ended with status {process.returncode}; the end of its log:\n{tail}")
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


def _watch(process: subprocess.Popen[bytes], metrics: Path) -> None:
    progress: Progress | None = None
    seen = len(read_metrics(metrics))
    while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        rows = read_metrics(metrics)
        for row in rows[seen:]:
            if progress is None:
                progress = Progress("training: steps", int(row["max_steps"]), done=int(row["step"]))
            shown = {name: row[name] for name in ("loss", "eval_loss", "learning_rate", "mean_token_accuracy") if name in row}
            if shown:
                progress.move_to(int(row["step"]), **shown)
        seen = len(rows)


def _stop(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
