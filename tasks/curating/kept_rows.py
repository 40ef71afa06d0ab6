"""The candidates that are left, as a set filter sees them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.curating.answers import Answers
from tasks.curating.candidates import COLUMNS, candidates_of
from tasks.curating.row_pass import RowFigures
from tasks.curating.verdicts import Verdicts
from tasks.filters import Candidate


class KeptRows:
    """A ``CandidateSet`` of the rows that all filters so far have kept; they are read anew each time."""

    def __init__(self, answers: Answers, figures: RowFigures, verdicts: Verdicts, scratch: Path) -> None:
        """Take the rows that are kept at this moment.

        Args:
            answers: All rows.
            figures: What is remembered of them.
            verdicts: What was found out about them so far.
            scratch: A folder for the filter's own files.
        """
        self.scratch = scratch
        self.numbers = np.flatnonzero(verdicts.kept)
        """int64 [candidates]: which row of all each candidate is."""
        self._answers, self._figures, self._verdicts = answers, figures, verdicts
        self._rows = len(verdicts.kept)

    def __len__(self) -> int:
        return len(self.numbers)

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, list[Candidate]]]:
        """Stream the candidates once more, as their numbers and themselves, in order."""
        wanted = np.zeros(self._rows, bool)
        wanted[self.numbers if chosen is None else self.numbers[chosen]] = True
        places = np.cumsum(wanted)  # of a wanted row among the wanted ones, from 1
        among = np.arange(len(self)) if chosen is None else np.flatnonzero(chosen)
        start = 0
        for rows in self._answers.batches(COLUMNS):
            here = wanted[start : start + len(rows)]
            if here.any():
                first = places[start + int(here.argmax())] - 1
                yield among[first : first + int(here.sum())], candidates_of(rows.filter(pa.array(here)))
            start += len(rows)

    def prompt_groups(self) -> np.ndarray:
        """Return a number for every candidate, equal for those that answer the same turn of the same prompt: int64."""
        _, groups = np.unique(self._figures.prompts[self.numbers], return_inverse=True)
        return groups.astype(np.int64)

    def scores(self, name: str) -> np.ndarray:
        """Return a score that the filters before have given: float64, NaN where a candidate has none."""
        return self._verdicts.scores.whole(name)[self.numbers]
