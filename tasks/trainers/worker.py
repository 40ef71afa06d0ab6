"""The training process: ``python -m tasks.trainers.worker JOB.json``, or several of them under torchrun.

Exit status 0: finished; 75: stopped and resumable. Under torchrun, which has a status of its own, ``status.json`` says it too.
"""

import fcntl
import json
import os
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from tasks.core.environment import prepare_libraries
from tasks.core.process import STOPPED, end_with_parent
from tasks.trainers import METHODS
from tasks.trainers.job import TrainingJob


def main(job_file: str) -> int:
    """Train as a job file says and return the exit status."""
    end_with_parent()
    job = TrainingJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    is_first = os.environ.get("RANK", "0") == "0"
    with ExitStack() as stack:
        if is_first:  # two runs of one training on one machine take turns; the other processes wait for the first
            lock = stack.enter_context((job.workspace / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        prepare_libraries()
        method = import_module(METHODS[job.settings.method])
        finished = method.train(job)
        if is_first:
            job.status.write_text(json.dumps({"state": "finished" if finished else "stopped"}), encoding="utf-8")
        return 0 if finished else STOPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
