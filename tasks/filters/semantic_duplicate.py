"""Rows that mean nearly what a better row means, in other words: SemDeDup (Abbas et al. 2023, arXiv 2303.09540)."""

from typing import Any

import numpy as np
from pydantic import Field

from tasks.core.errors import DataError
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, CandidateSet, FilterSettings, Mode, SetFilter, SetFindings
from tasks.filters.meaning.cells import cells_of
from tasks.filters.meaning.row_vectors import RowVectors, embed_rows
from tasks.filters.survivors import best_first
from tasks.task_types import TASK_TYPES

_BLOCK_ROWS = 1024
_JUDGED_ROWS = 100  # of fewer, the tail of random cosines says nothing
_TAIL = "p99"


class SemanticDuplicateSettings(FilterSettings):
    """Rows that mean nearly the same as a better one. Answers to one prompt are never compared with each other, nor are rows of
    different labels."""

    mode: Mode = Field(default="off", description=MODES)

    min_cosine: float = Field(default=0.95, gt=0, le=1)
    """Cosine of two rows' vectors from which they count as the same. The funnel notes quantiles of the cosines of rows that are
    drawn at random; the run ends if one pair in a hundred is as alike as this."""


def reject_semantic_duplicates(settings: SemanticDuplicateSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``semantic_duplicate``, its score ``nearest_cosine``, to the nearest better row that stays.

    Rows are taken best first; one that is as alike to a row that stays goes. Only rows of one cell are compared.

    Raises:
        DataError: If rows drawn at random are as alike as duplicates are to be, so that nearly all would go.
    """

    def look(rows: CandidateSet) -> SetFindings:
        embedded = embed_rows(rows, context)
        cosines = embedded.random_cosines()
        if len(rows) >= _JUDGED_ROWS and cosines[_TAIL] >= settings.min_cosine:
            raise DataError(
                f"of rows drawn at random, one pair in a hundred has a cosine of {cosines[_TAIL]} or more, and "
                f"dataset.filters.semantic_duplicate.min_cosine is {settings.min_cosine}: they would count as the same. Raise it "
                "well above, or set the filter off"
            )
        kinds, prompts, nearest = _kinds(rows, context), rows.prompt_groups(), np.full(len(rows), np.nan)
        order = best_first(rows, np.ones(len(rows), bool))
        for cell in cells_of(embedded, order):
            nearest[cell] = _nearest_better(embedded, cell, kinds, prompts, settings.min_cosine)
        rejected = np.flatnonzero(nearest >= settings.min_cosine)
        return SetFindings({"semantic_duplicate": rejected}, {"nearest_cosine": nearest}, {"random_cosines": cosines})

    return look


def _nearest_better(
    embedded: RowVectors, cell: np.ndarray, kinds: np.ndarray, prompts: np.ndarray, min_cosine: float
) -> np.ndarray:
    """Return each row's cosine to the nearest row before it that stays, NaN where there is none; rows are given best first."""
    nearest = np.full(len(cell), -np.inf)
    for first in range(0, len(cell), _BLOCK_ROWS):
        block = cell[first : first + _BLOCK_ROWS]
        vectors, inside = embedded.of(block), nearest[first : first + len(block)]
        cosines = _comparable(vectors @ vectors.T, block, block, kinds, prompts)
        for place in range(len(block)):
            if inside[place] < min_cosine:  # it stays, and those after it are compared with it
                np.maximum(inside[place + 1 :], cosines[place, place + 1 :], out=inside[place + 1 :])
        stays = block[inside < min_cosine]
        for later in range(first + len(block), len(cell), _BLOCK_ROWS):
            others = cell[later : later + _BLOCK_ROWS]
            cosines = _comparable(embedded.of(stays) @ embedded.of(others).T, stays, others, kinds, prompts)
            np.maximum(
                nearest[later : later + len(others)],
                cosines.max(axis=0, initial=-np.inf),
                out=nearest[later : later + len(others)],
            )
    return np.where(np.isfinite(nearest), nearest, np.nan)


def _comparable(cosines: np.ndarray, rows: np.ndarray, others: np.ndarray, kinds: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    apart = (kinds[rows][:, None] != kinds[others]) | (prompts[rows][:, None] == prompts[others])
    return np.where(apart, -np.inf, cosines)


def _kinds(rows: CandidateSet, context: FilterContext) -> np.ndarray:
    """Return a number for every row, the same for rows of one kind of task and, where it is closed, of one label."""
    kinds, names = np.zeros(len(rows), np.int64), dict[Any, int]()
    for numbers, candidates in rows.batches():
        for number, row in zip(numbers.tolist(), candidates, strict=True):
            label = context.read(row.task, row.completion) if TASK_TYPES[row.task].is_closed else None
            kinds[number] = names.setdefault((row.task, label), len(names))
    return kinds
