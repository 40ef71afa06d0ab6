"""Starting training processes and showing their progress."""

import json
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.core import errors
from tasks.core.errors import StageFailedError, TerminalError
from tasks.core.process import LogTail, run_worker
from tasks.core.progress import Progress, stage_logger
from tasks.training.job import WARNING, TrainingJob
from tasks.training.settings import TrainingRuntime

_SHOWN = ("loss", "ce_loss", "kd_loss", "eval_loss", "grad_norm", "mean_token_accuracy", "tokens_per_second")
_WORKER = "tasks.training.worker"


def run_training(
    job: TrainingJob, watch: Callable[[], None] | None = None, on_step: Callable[[int], None] | None = None
) -> list[dict[str, Any]]:
    """Run a training in processes of its own until it ends.

    Args:
        job: The training; its workspace exists, and holds the checkpoints of an earlier attempt if there was one.
        watch: Called twice a second meanwhile.
        on_step: Called with every step that the training logs, and first with the one that it goes on from.

    Returns:
        The metrics that the training logged, oldest first, those of earlier attempts included.

    Raises:
        PreemptedError: If the training was told to stop and left a checkpoint.
        StageFailedError: If it failed; the message has the end of its log.
        TerminalError: If it failed of something that fails again.
    """
    job_file = job.workspace / "job.json"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    job.status.unlink(missing_ok=True)
    progress = _TrainingProgress(job.metrics, on_step)
    runtime = job.settings.runtime
    options = torchrun_options(runtime, job.workspace.name)
    if runtime.nodes > 1:
        command = shlex.join([sys.executable, "-m", "torch.distributed.run", *options, "-m", _WORKER, str(job_file)])
        stage_logger().info("training: on each of the other %d machines run: %s", runtime.nodes - 1, command)

    log = job.workspace / "worker.log"
    show_warnings = LogTail(log, WARNING, stage_logger().warning)

    def look() -> None:
        progress.show()
        show_warnings()
        if watch:
            watch()

    try:
        run_worker(
            _WORKER,
            job_file,
            log,
            runtime.grace_seconds,
            watch=look,
            launcher=["-m", "tasks.training.torchrun", *options] if options else (),
            was_stopped=lambda: _status(job).get("state") == "stopped",
        )
    except StageFailedError as error:
        raise _what_failed(_status(job), error) from None
    return read_metrics(job.metrics)


def torchrun_options(runtime: TrainingRuntime, name: str) -> list[str]:
    """Return torchrun's options for one training process on each device of this machine; nothing, where there is one in all.

    Args:
        runtime: How many devices and machines there are, and where these meet.
        name: What the machines recognise each other's training by.
    """
    if runtime.processes == runtime.nodes == 1:
        return []
    if runtime.nodes == 1:
        meeting = ["--standalone"]
    else:
        meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={runtime.rendezvous}", f"--rdzv-id={name}"]
    return [
        f"--nnodes={runtime.nodes}",
        f"--nproc-per-node={runtime.processes}",
        "--max-restarts=0",  # a retry is Prefect's to make
        f"--shutdown-timeout={math.ceil(runtime.grace_seconds)}",
        *meeting,
    ]


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


def _status(job: TrainingJob) -> dict[str, str]:
    """Return how the training says that it ended; nothing, if it came to no end of its own."""
    return json.loads(job.status.read_text(encoding="utf-8")) if job.status.is_file() else {}


def _what_failed(status: dict[str, str], ended: StageFailedError) -> Exception:
    """Return the error that a training ended with, rather than that of the launcher, whose report fills the end of the log."""
    if status.get("state") != "failed":
        return ended
    kind = getattr(errors, status["error"], None)
    if isinstance(kind, type) and issubclass(kind, TerminalError):
        return kind(status["message"])
    return StageFailedError(f"the training failed with {status['error']}: {status['message']}; {ended}")


class _TrainingProgress:
    """Shows what was added to a metrics file since it last looked."""

    def __init__(self, metrics: Path, on_step: Callable[[int], None] | None) -> None:
        self._metrics, self._on_step = metrics, on_step
        self._seen = len(read_metrics(metrics))
        self._progress: Progress | None = None

    def show(self) -> None:
        rows = read_metrics(self._metrics)
        for row in rows[self._seen :]:
            if self._on_step is not None:
                self._on_step(int(row["step"]))
            if self._progress is None:
                self._progress = Progress("training: steps", int(row["max_steps"]), done=int(row["step"]))
            shown = {name: row[name] for name in _SHOWN if name in row}
            if "memory_bytes" in row:
                shown["GiB"] = row["memory_bytes"] / (1 << 30)
            if shown:
                self._progress.move_to(int(row["step"]), **shown)
        self._seen = len(rows)
