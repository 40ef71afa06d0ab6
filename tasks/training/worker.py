"""The training process: ``python -m tasks.training.worker JOB.json``, or several of them under torchrun.

Exit status 0: finished; 75: stopped and resumable. Under torchrun, which has a status of its own, ``status.json`` says it too,
and what a failed training failed of.
"""

import fcntl
import json
import logging
import os
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from tasks.core.environment import loading_libraries, prepare_libraries
from tasks.core.process import STOPPED, end_with_parent
from tasks.core.secrets import withhold
from tasks.trainers import METHODS
from tasks.training.job import WARNING, TrainingJob

_SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}
"""What Accelerate's own launcher sets: on CUDA the processes then talk about tensors in the CPU's memory too."""


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
        _show_warnings()
        if job.settings.runtime.sharding == "full" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            os.environ.update(_SHARDED)
        with loading_libraries():
            method = import_module(METHODS[job.settings.method])
        try:
            finished = method.train(job)
        except Exception as error:
            _tell(job, state="failed", error=type(error).__name__, message=withhold(str(error)))
            raise
        if is_first:
            _tell(job, state="finished" if finished else "stopped")
        return 0 if finished else STOPPED


def _show_warnings() -> None:
    """Write our own warnings in a form that the flow's process finds in the log, and no library's."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{WARNING}%(message)s"))
    logging.getLogger("potstill").addHandler(handler)


def _tell(job: TrainingJob, **status: str) -> None:
    staged = job.status.with_suffix(f".{os.environ.get('RANK', '0')}")
    staged.write_text(json.dumps(status), encoding="utf-8")
    os.replace(staged, job.status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
