"""Whether two formulas are equal, told by math-verify in a process of its own, which is ended when it takes too long.

Computer algebra may not end, or not before the memory does: the formula is a model's, and 9^{9^{9}} is a formula. The time-out
of math-verify is a signal, which works in a main thread only, and stages run in others; and it counts a busy machine's time.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from functools import lru_cache

from tasks.core.errors import StageFailedError

_START_SECONDS = 120
_SECONDS = 30  # for what the worker's own limit, five seconds of its processor, cannot interrupt


@lru_cache(maxsize=1 << 16)
def same_formula(gold: str, answer: str) -> bool:
    """Return whether an answer is equal to the gold one as mathematics; False if that cannot be told in five seconds.

    Args:
        gold: A formula in LaTeX, without dollar signs around it. The order of the two matters where one is a set or an interval.
        answer: Another.

    Raises:
        StageFailedError: If the process does not start.
    """
    return _verifier.same(gold, answer)


class _Verifier:
    """The process, started when first needed and again after it had to be ended; one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection, _ = socket.socketpair()
        self._owner = os.getpid()

    def same(self, gold: str, answer: str) -> bool:
        with self._lock:
            if self._process is None or self._owner != os.getpid():  # a fork must not share its parent's connection
                self._start()
            reply = self._ask(json.dumps([gold, answer]).encode() + b"\n", _SECONDS)
            if not reply:
                self._end()
            return reply == b"1"

    def _start(self) -> None:
        self._owner = os.getpid()
        self._connection, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-m", "tasks.metrics.formula_worker"]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        if not self._ask(b"", _START_SECONDS):
            self._end()
            raise StageFailedError(
                f"the process that compares formulas did not start within {_START_SECONDS} seconds: run {' '.join(command)} by "
                "hand to see why, most likely math-verify is not installed"
            )

    def _ask(self, question: bytes, seconds: float) -> bytes:
        """Return the byte that answers a question; nothing if the process ended or takes longer."""
        self._connection.settimeout(seconds)
        try:
            self._connection.sendall(question)
            return self._connection.recv(1)
        except OSError:  # a time-out is one
            return b""

    def _end(self) -> None:
        self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


_verifier = _Verifier()
