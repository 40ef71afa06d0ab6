"""What was found out about every row: the reasons that filters gave against it, its scores, and whether it is kept."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.curating.score_columns import ScoreColumns
from tasks.curating.step import Step


class Verdicts:
    """Findings by row number. A rejected row costs four bytes a reason, any row one; scores lie on disk."""

    def __init__(self, folder: Path) -> None:
        """Begin with no rows.

        Args:
            folder: Where scores are kept meanwhile.
        """
        self.scores = ScoreColumns(folder / "scores")
        self.kept = np.zeros(0, bool)
        """bool [rows]: no filter that drops spoke against it."""
        self._found: dict[tuple[str, str], np.ndarray] = {}
        self._batches: list[np.ndarray] = []
        self._pending: dict[tuple[str, str], list[np.ndarray]] = {}
        self._rows = 0

    def add_rows(self, count: int) -> np.ndarray:
        """Begin a batch of rows, all of them kept so far, and return its mask."""
        self._batches.append(np.ones(count, bool))
        self._rows += count
        return self._batches[-1]

    def note(self, step: Step, reasons: Mapping[int, str]) -> None:
        """Write down what a row filter found about the batch that was begun last: the reasons against rows, by their places."""
        mask = self._batches[-1]
        start = self._rows - len(mask)
        places: dict[str, list[int]] = {}
        for place, reason in reasons.items():
            places.setdefault(reason, []).append(place)
        for reason, where in places.items():
            numbers = np.asarray(where, np.int64)
            self._pending.setdefault((step.name, reason), []).append((numbers + start).astype(np.uint32))
            step.reject(mask, numbers)
        step.seen += len(mask)

    def close_rows(self, order: Sequence[str]) -> None:
        """End the pass over the rows.

        Args:
            order: Names of the filters, in the order in which their reasons are to stand.
        """
        self.kept = np.concatenate([self.kept, *self._batches])
        in_order = sorted(self._pending, key=lambda key: (order.index(key[0]), key[1]))
        self._found = {key: np.concatenate(self._pending[key]) for key in in_order}
        self._batches, self._pending = [], {}

    def note_set(self, step: Step, reason: str, numbers: np.ndarray) -> None:
        """Write down what a set filter found: ascending numbers of the rows that have a reason."""
        if len(numbers):
            self._found[step.name, reason] = numbers.astype(np.uint32)
        step.reject(self.kept, numbers)

    def reasons(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield filter, reason and the ascending numbers of the rows that have it."""
        for (name, reason), numbers in self._found.items():
            yield name, reason, numbers

    def reasons_of(self, start: int, count: int) -> list[list[str]]:
        """Return the reasons of some rows in a row, in the order of the filters."""
        reasons: list[list[str]] = [[] for _ in range(count)]
        for _, reason, numbers in self.reasons():
            first, last = np.searchsorted(numbers, [start, start + count])
            for number in numbers[first:last].tolist():
                reasons[number - start].append(reason)
        return reasons
