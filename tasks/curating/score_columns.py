"""Scores of many rows, on disk: a file of float64 numbers a score, so that memory holds none that nobody asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


class ScoreColumns:
    """Scores by name and row. Rows are added in order; NaN stands for no score."""

    def __init__(self, folder: Path) -> None:
        """Begin with no rows.

        Args:
            folder: Where the files go; it is made.
        """
        folder.mkdir(parents=True)
        self._folder, self._rows = folder, 0
        self._lengths: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """Names of all scores that a row has, in alphabetical order."""
        return sorted(self._lengths)

    def append(self, scores: Sequence[Mapping[str, float]]) -> None:
        """Add the scores of the next rows."""
        columns: dict[str, np.ndarray] = {}
        for place, row in enumerate(scores):
            for name, value in row.items():
                if name not in columns:
                    columns[name] = np.full(len(scores), np.nan, np.float64)
                columns[name][place] = value
        for name, values in columns.items():
            self._extend(name, values)
        self._rows += len(scores)

    def put(self, name: str, values: np.ndarray) -> None:
        """Set a score of all rows: float64 [rows]."""
        self._file(name).write_bytes(values.astype(np.float64).tobytes())
        self._lengths[name] = self._rows

    def read(self, name: str, start: int, count: int) -> np.ndarray:
        """Return a score of some rows in a row: float64 [count]."""
        values = np.full(count, np.nan, np.float64)
        if name in self._lengths:
            there = np.fromfile(self._file(name), np.float64, count, offset=8 * start) if start < self._lengths[name] else []
            values[: len(there)] = there
        return values

    def whole(self, name: str) -> np.ndarray:
        """Return a score of all rows: float64 [rows]."""
        return self.read(name, 0, self._rows)

    def _extend(self, name: str, values: np.ndarray) -> None:
        """Write values behind those of the rows before, of which the last may have had none."""
        missing = self._rows - self._lengths.get(name, 0)
        with self._file(name).open("ab") as file:
            file.write(np.full(missing, np.nan, np.float64).tobytes())
            file.write(values.tobytes())
        self._lengths[name] = self._rows + len(values)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.f64"
