"""Work in a process of its own: started, watched, told to stop when we are, and gone when we are gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tasks.core.errors import PreemptedError, StageFailedError

STOPPED = 75
"""Exit status of a worker that was told to stop and can be resumed (EX_TEMPFAIL of sysexits.h)."""

_PARENT = "POTSTILL_PARENT"
_POLL_SECONDS = 0.5
_SHOWN_LOG_LINES = 20


def run_worker(
    module: str,
    job_file: Path,
    log: Path,
    grace_seconds: float,
    watch: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
    was_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run ``python -m module job_file`` until it ends.

    Args:
        module: A module that takes the path of its job and calls ``end_with_parent`` first.
        job_file: The job, as JSON.
        log: File that the worker's output is appended to.
        grace_seconds: How long the worker may take to stop before it is killed.
        watch: Called twice a second while the worker runs, and once after.
        environment: Variables that the worker gets beside our own.
        launcher: What stands between ``python`` and ``-m module``: a module that starts several workers, with its options.
        was_stopped: Tells whether a worker that ended with a status of its launcher was told to stop.

    Raises:
        PreemptedError: If the worker was told to stop and can be resumed.
        StageFailedError: If it failed; the message has the end of its log.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *launcher, "-m", module, str(job_file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C reaches it through us, once
            env={
                **os.environ,
                **(environment or {}),
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                _PARENT: str(os.getpid()),
            },
        )
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            if watch:
                watch()
    except BaseException:  # a stop signal arrives here as an exception, whatever its kind
        _stop(process, grace_seconds)
        raise
    if watch:
        watch()
    if process.returncode in {STOPPED, -signal.SIGTERM} or (process.returncode and was_stopped()):
        raise PreemptedError(f"{module} was told to stop and left its state; run again to resume it")
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LOG_LINES:])
        raise StageFailedError(f"{module} ended with status {process.returncode}; the end of its log, {log}:\n{tail}")


class LogTail:
    """Hands on what a worker writes in its log, line by line; call it again and again while the worker runs.

    Args:
        log: The worker's log; it need not be there yet.
        start: Only lines that start with this.
        show: Takes each line.
    """

    def __init__(self, log: Path, start: str, show: Callable[[str], None]) -> None:
        self._log, self._start, self._show = log, start, show
        self._read_bytes = log.stat().st_size if log.exists() else 0  # what an earlier attempt wrote was shown then

    def __call__(self) -> None:
        """Show the lines that are new and whole."""
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            if line.startswith(self._start):
                self._show(line)


def end_with_parent() -> None:
    """Make this process end, at once, when the one that started it is gone, or the launcher between them.

    No orphan keeps a device, or writes a checkpoint that the next attempt is already resuming from.
    """
    launcher = os.getppid()
    owner = int(os.environ.get(_PARENT, launcher))  # told, not asked: it may already be gone
    threading.Thread(target=_end_with, args=(owner, launcher), daemon=True).start()


def _end_with(owner: int, launcher: int) -> None:
    while os.getppid() == launcher and _is_there(owner):
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def _is_there(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stop(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
