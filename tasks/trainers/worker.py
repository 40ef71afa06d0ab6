"""The training process: ``python -m tasks.trainers.worker JOB.json``.

Exit codes: 0 finished, 75 told to stop and resumable, anything else failed. It ends by itself, at once, when the process that
started it is gone: no orphan keeps a device, or writes a checkpoint that the next attempt is already resuming from.
"""

import fcntl
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from tasks.core.environment import prepare_libraries
from tasks.trainers import METHODS
from tasks.trainers.settings import TrainingJob

STOPPED = 75
_POLL_SECONDS = 0.5


def main(job_file: str) -> int:
    """Train as a job file says and return the exit code."""
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    job = TrainingJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    with (job.workspace / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of one training on one machine take turns
        prepare_libraries()
        method = import_module(METHODS[job.settings.method])
        return 0 if method.train(job) else STOPPED


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
