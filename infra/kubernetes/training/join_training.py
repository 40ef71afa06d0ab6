"""Joins a training that another machine leads: ``python join_training.py SHARED_FOLDER``.

The leader writes the training's job into the folder that all machines see and then opens the rendezvous. This waits for both and
becomes the very command that the leader's log shows for the other machines. It ends as the training does: 0 if that finished.
"""

import os
import socket
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from tasks.training.job import TrainingJob
from tasks.training.launch import torchrun_options

_LOOK_SECONDS = 2.0
_CONNECT_SECONDS = 5.0


def main(shared: Path) -> None:
    """Wait for a training whose rendezvous is open, and join it; this process is replaced.

    Args:
        shared: The store's folder or, for a store on S3, the cache folder of the leader (its ``XDG_CACHE_HOME``).
    """
    while True:
        job = newest_job(shared)
        rendezvous = job.settings.runtime.rendezvous if job else None
        if job and rendezvous and is_open(rendezvous):
            options = torchrun_options(job.settings.runtime, job.workspace.name)
            command = ["-m", "torch.distributed.run", *options, "-m", "tasks.training.worker", str(job.workspace / "job.json")]
            os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
        time.sleep(_LOOK_SECONDS)


def newest_job(shared: Path) -> TrainingJob | None:
    """Return the training on several machines that was started last, whether it still runs or not; None if there is none."""
    found = sorted(shared.glob("**/student/*/job.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            job = TrainingJob.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError:  # half written; or of another version
            continue
        if job.settings.runtime.nodes > 1:
            return job
    return None


def is_open(rendezvous: str) -> bool:
    """Return whether somebody listens at a ``host:port``."""
    host, _, port = rendezvous.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
