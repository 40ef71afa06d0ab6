"""One filter at work in a run, and its line of the funnel."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Step:
    """A filter that is not off, with what it has done so far."""

    name: str
    mode: str
    look: Callable[..., Any]
    """The ``RowFilter`` or ``SetFilter``."""
    wanted: bool
    repeats: bool
    seen: int = 0
    marginal: int = 0
    """Rows that it was the first to reject."""
    independent: int = 0
    """Rows that it would reject by itself."""
    seconds: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a set filter has to say of all rows together."""

    def reject(self, kept: np.ndarray, numbers: np.ndarray) -> None:
        """Count rows that have one of the filter's reasons and, if it drops, take them out of those that are kept.

        Args:
            kept: bool [rows], changed in place.
            numbers: Which of them, each once.
        """
        self.independent += len(numbers)
        if self.mode == "drop":
            self.marginal += int(kept[numbers].sum())
            kept[numbers] = False

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time that a block takes."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started

    def summary(self) -> dict[str, Any]:
        """Return the filter's line of the funnel."""
        return {
            "filter": self.name,
            "mode": self.mode,
            "seen": self.seen,
            "marginal": self.marginal,
            "independent": self.independent,
            "seconds": round(self.seconds, 3),
            "wanted": self.wanted,
            **({"notes": dict(self.notes)} if self.notes else {}),
        }
