"""The training process: ``python -m tasks.trainers.worker JOB.json``; exit status 0 finished, 75 stopped and resumable."""

import fcntl
import sys
from importlib import import_module
from pathlib import Path

from tasks.core.environment import prepare_libraries
from tasks.core.process import STOPPED, end_with_parent
from tasks.trainers import METHODS
from tasks.trainers.settings import TrainingJob


def main(job_file: str) -> int:
    """Train as a job file says and return the exit status."""
    end_with_parent()
    job = TrainingJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    with (job.workspace / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of one training on one machine take turns
        prepare_libraries()
        method = import_module(METHODS[job.settings.method])
        return 0 if method.train(job) else STOPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
