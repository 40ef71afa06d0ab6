"""One partition's answers, in a process of its own: ``python -m tasks.generating.partition JOB.json``.

An engine of its own needs a process of its own: it takes its share of the GPUs and gives all of their memory back at the end.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from types import FrameType

from pydantic import BaseModel

from tasks.core.artifact import Artifact
from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import Part
from tasks.core.environment import prepare_libraries
from tasks.core.errors import PreemptedError, SettingsError
from tasks.core.process import STOPPED, end_with_parent
from tasks.core.storage import open_store
from tasks.generating.settings import GenerationsSettings
from tasks.generating.spans import Span

FAILURES = "failures"
ROWS = "rows"
"""What a journal counts: different answers; prompts that ask the very same share one."""
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


class PartitionSlots:
    """What the partitions that run on one machine at the same time share: its GPUs, and the order to stop."""

    def __init__(self, slots: int, gpus_each: int) -> None:
        """Divide the GPUs that this process may use into groups; partitions beyond the number of slots wait for one.

        Args:
            slots: Groups.
            gpus_each: GPUs of a group.

        Raises:
            SettingsError: If CUDA_VISIBLE_DEVICES names too few for several groups.
        """
        visible, wanted = os.environ.get(VISIBLE_GPUS), slots * gpus_each
        gpus = [str(gpu) for gpu in range(wanted)] if visible is None else [gpu for gpu in visible.split(",") if gpu]
        if slots > 1 and gpus and len(gpus) < wanted:
            raise SettingsError(
                f"{VISIBLE_GPUS} names {len(gpus)} GPUs, wanted {wanted}: {gpus_each} for each of {slots} partitions; "
                "lower generations.runtime.partitions_at_once"
            )
        self._free: SimpleQueue[str] = SimpleQueue()
        self._stopped = Event()
        for first in range(0, wanted, gpus_each):
            self._free.put(",".join(gpus[first : first + gpus_each]))

    @contextmanager
    def gpus(self) -> Iterator[str]:
        """Wait for a group of GPUs and hold it; its names as CUDA_VISIBLE_DEVICES wants them."""
        group = self._free.get()
        try:
            self.raise_if_stopped()
            yield group
        finally:
            self._free.put(group)

    def stop(self) -> None:
        """Let every partition end: the flow that started them is told to stop, and its threads are not."""
        self._stopped.set()

    def raise_if_stopped(self) -> None:
        """Raise PreemptedError once ``stop`` was called."""
        if self._stopped.is_set():
            raise PreemptedError("the partition was told to stop; its finished rows are kept, run again to go on")


class PartitionJob(BaseModel):
    """What to answer, and where to say what it took."""

    settings: GenerationsSettings
    store: str
    prompts: Artifact
    teacher: Artifact
    span: Span
    artifact: str | None = None
    """Folder of the generations in the store, for the journal of this attempt at a part of them; None: it keeps none."""
    result: Path
    """JSON file to write: ``Effort.summary``, and under ``FAILURES`` the rows without an answer."""


def main(job_file: str) -> int:
    """Answer the partition that a job file names and return the exit status."""
    end_with_parent()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)  # its progress, which the flow shows
    signal.signal(signal.SIGTERM, _stop)
    prepare_libraries()
    from tasks.generating.generation import Generation

    job = PartitionJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    try:
        with _journal(job) as journal:
            work = Generation(job.settings, job.store, job.prompts, job.teacher, job.span)
            if journal is not None:
                journal.begin(work.figures, is_working=not work.unanswered)
            effort = work.answer()
    except KeyboardInterrupt:  # the open shard is committed by now
        return STOPPED
    job.result.write_text(json.dumps({**effort.summary(), FAILURES: work.failures()}), encoding="utf-8")
    return 0


def _journal(job: PartitionJob) -> AbstractContextManager[AttemptJournal | None]:
    if job.artifact is None:
        return nullcontext()
    part = Part(lower=job.span.lower, upper=job.span.upper)
    return AttemptJournal(open_store(job.store), job.artifact, ROWS, part)


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
