"""Progress of a process that does not load Prefect: lines in a file, which the process that started it reads and shows."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tasks.core.process import LogTail

_INTERVAL_SECONDS = 0.5


class Shown(Protocol):
    """Shows how far something is."""

    def move_to(self, done: int, seconds: float | None = None) -> None:
        """Set the count of finished units, and how long they took."""
        ...


class LineProgress:
    """Counts units of work and writes the count in a file, at most twice a second.

    Args:
        file: Where lines are added.
        what: What is being done.
        total: Units in all.
    """

    def __init__(self, file: Path, what: str, total: int) -> None:
        self._file, self._what, self._total = file, what, total
        self._done, self._written, self._started = 0, 0.0, time.monotonic()

    def advance(self, units: int = 1) -> None:
        """Count finished units."""
        self._done += units
        now = time.monotonic()
        if now - self._written < _INTERVAL_SECONDS and self._done < self._total:
            return
        self._written = now
        with self._file.open("a", encoding="utf-8") as file:
            row = {"what": self._what, "done": self._done, "total": self._total, "seconds": now - self._started}
            file.write(json.dumps(row) + "\n")


class ProgressReader:
    """Shows what was written since it last looked; call it again and again while the other process runs.

    Args:
        file: Where the lines are; it need not be there yet.
        begin: Starts showing something, given what it is and how many units it has.
    """

    def __init__(self, file: Path, begin: Callable[[str, int], Shown]) -> None:
        self._begin = begin
        self._shown: dict[str, Shown] = {}
        self._tail = LogTail(file, "{", self._show)

    def __call__(self) -> None:
        """Show what is new."""
        self._tail()

    def _show(self, line: str) -> None:
        row = json.loads(line)
        if row["what"] not in self._shown:
            self._shown[row["what"]] = self._begin(row["what"], row["total"])
        self._shown[row["what"]].move_to(row["done"], row["seconds"])
