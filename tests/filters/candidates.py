"""Candidates and sets of them for the tests of filters."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.filters import ROW_FILTERS, SET_FILTERS, Candidate, FilterContext
from tasks.filters.interface import Finding, SetFindings
from tasks.filters.settings import FiltersSettings


def answered(completion: str, **fields: Any) -> Candidate:
    """Return an answer to a question in a chat, of an open kind of task unless another is named."""
    chat = [{"role": "user", "content": "Is a still hot?"}]
    return Candidate(**{"id": "a", "task": "CONVERSATION", "messages": chat, "text": None, "completion": completion, **fields})


def asked(identifier: str, prompt: str, completion: str, task: str = "CONVERSATION", **fields: Any) -> Candidate:
    """Return an answer to a prompt in a chat."""
    return answered(completion, id=identifier, task=task, messages=[{"role": "user", "content": prompt}], **fields)


def look(name: str, candidates: Sequence[Candidate], context: FilterContext | None = None, **settings: Any) -> list[Finding]:
    """Return what a row filter with these settings finds out about candidates."""
    own = getattr(FiltersSettings.model_validate({name: settings}), name)
    return ROW_FILTERS[name].make(own, context or FilterContext())(candidates)


def reasons(
    name: str, candidates: Sequence[Candidate], context: FilterContext | None = None, **settings: Any
) -> list[str | None]:
    """Return only the reasons of ``look``."""
    return [finding.reason for finding in look(name, candidates, context, **settings)]


class Rows:
    """A set of candidates in memory."""

    def __init__(self, candidates: Sequence[Candidate], scratch: Path = Path(), **scores: Sequence[float]) -> None:
        self.scratch = scratch
        self._candidates, self._scores = list(candidates), scores

    def __len__(self) -> int:
        return len(self._candidates)

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, list[Candidate]]]:
        numbers = np.arange(len(self)) if chosen is None else np.flatnonzero(chosen)
        for number in numbers:  # the smallest batches that there can be
            yield np.array([number]), [self._candidates[number]]

    def prompt_groups(self) -> np.ndarray:
        keys = [(candidate.id, candidate.turn) for candidate in self._candidates]
        return np.array([keys.index(key) for key in keys], np.int64)

    def scores(self, name: str) -> np.ndarray:
        return np.array(self._scores.get(name, [np.nan] * len(self)), np.float32)


def look_at_set(name: str, rows: Rows, context: FilterContext | None = None, **settings: Any) -> SetFindings:
    """Return what a set filter with these settings finds."""
    own = getattr(FiltersSettings.model_validate({name: settings}), name)
    return SET_FILTERS[name].make(own, context or FilterContext())(rows)


def rejected(name: str, rows: Rows, context: FilterContext | None = None, **settings: Any) -> list[int]:
    """Return the numbers of the rows that a set filter rejects."""
    found = look_at_set(name, rows, context, **settings).rejected
    return sorted(int(number) for numbers in found.values() for number in numbers)
