"""What a filter is: it sees candidates, a batch at a time or all of them, and finds what speaks against each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from tasks.core.section import Section
from tasks.filters.candidate import Candidate

Mode = Literal["off", "annotate", "drop"]
MODES = "off: not looked at; annotate: what is found is written down and the row is kept; drop: the row is rejected."


class FilterSettings(Section):
    """What every filter can be told. A filter's own settings derive from it and stand in the filter's file."""

    mode: Mode = Field(default="drop", description=MODES)


class Finding(NamedTuple):
    """What a filter found out about one candidate."""

    reason: str | None = None
    """Why it is to be rejected, in snake_case; None: it passes."""
    scores: Mapping[str, float] = {}
    """Figures by name, kept with the row whether it passes or not."""


PASSED = Finding()

RowFilter = Callable[[Sequence[Candidate]], list[Finding]]
"""Takes a batch of candidates and returns a finding for each, in order."""


@dataclass(frozen=True)
class SetFindings:
    """What a filter found out about the candidates of a set, by their row numbers in it."""

    rejected: Mapping[str, np.ndarray]
    """By reason: the numbers of the rows that are to be rejected for it, in ascending order."""
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By name: float64 [rows], NaN where a row has none."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth knowing of the set, as JSON values; it stands in the filter's line of the funnel."""


class CandidateSet(Protocol):
    """All candidates that the filters before have kept, numbered from 0; they may be more than memory holds."""

    scratch: Path
    """A folder for what a filter cannot keep in memory; it is gone after the stage."""

    def __len__(self) -> int: ...

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, list[Candidate]]]:
        """Stream the candidates once more, as row numbers and candidates, in order.

        Args:
            chosen: bool [rows], which of them; None: all.
        """
        ...

    def prompt_groups(self) -> np.ndarray:
        """Return a number for every row, equal for rows that answer the same turn of the same prompt: int64 [rows]."""
        ...

    def scores(self, name: str) -> np.ndarray:
        """Return a score that the filters before have given: float64 [rows], NaN where a row has none."""
        ...


SetFilter = Callable[[CandidateSet], SetFindings]
"""Takes all candidates that are left and says which of them are to go."""


class TokenCounter(Protocol):
    """Counts lengths in the student's tokens."""

    def answers(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the length of every answer, with whatever ends a turn."""
        ...

    def rows(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the length of every prompt with its answer."""
        ...

    def bound(self, candidate: Candidate) -> float:
        """Return a length that a row does not exceed, without counting; infinite if only counting can tell."""
        ...


@dataclass(frozen=True)
class FilterKind:
    """A line of the registry: how a filter is made from its settings and the run's ``FilterContext``, and whom it is about.

    ``judges_teacher``: it looks for what a teacher does wrong, and passes over answers that are the user's own references.
    ``wanted``: the user asks for its drops by number, so that they are no sign of bad answers.
    ``repeats``: what it drops another row says too; of samples of one prompt that are alike it leaves one.
    """

    make: Callable[[Any, Any], Any]
    judges_teacher: bool = False
    wanted: bool = False
    repeats: bool = False
