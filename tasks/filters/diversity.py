"""A number of rows that are as different from each other as can be: greedy k-centre (Gonzalez 1985; Sener and Savarese 2018)."""

import numpy as np
from pydantic import Field

from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, CandidateSet, FilterSettings, Mode, SetFilter, SetFindings
from tasks.filters.meaning.cells import cells_of
from tasks.filters.meaning.row_vectors import RowVectors, embed_rows
from tasks.filters.survivors import best_first


class DiversitySettings(FilterSettings):
    """More training rows than are wanted: those that are most different in meaning stay."""

    mode: Mode = Field(default="off", description=MODES)

    keep: int = Field(default=10_000, ge=1)
    """Training rows that stay."""


def reject_least_diverse(settings: DiversitySettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``not_diverse``, its score ``distance_to_kept``: one less the cosine to the nearest row that
    stays, 0 for a row that stays itself.

    The best row stays; then, again and again, the one that is farthest from all that stay. Beyond 4,096 rows this is done cell by
    cell of similar meaning, each with its share of the rows.
    """

    def look(rows: CandidateSet) -> SetFindings:
        embedded = embed_rows(rows, context)
        training = np.zeros(len(rows), bool)
        for numbers, candidates in rows.batches():
            training[numbers] = [candidate.split == "train" for candidate in candidates]
        order = np.flatnonzero(training)[best_first(rows, training)]
        cells = list(cells_of(embedded, order))
        distances = np.full(len(rows), np.nan)
        stays = ~training
        for cell, count in zip(cells, _shares([len(cell) for cell in cells], settings.keep), strict=True):
            chosen, distances[cell] = _farthest_first(embedded, cell, count)
            stays[cell[chosen]] = True
        notes = {"random_cosines": embedded.random_cosines(), "cells": len(cells)}
        return SetFindings({"not_diverse": np.flatnonzero(~stays)}, {"distance_to_kept": distances}, notes)

    return look


def _farthest_first(embedded: RowVectors, cell: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the rows that stay, and every row's distance to the nearest of them; rows are given best first."""
    vectors = embedded.of(cell)
    chosen, distances = np.zeros(min(count, len(cell)), np.int64), np.full(len(cell), np.inf, np.float32)
    for number in range(len(chosen)):
        place = int(np.argmax(distances)) if number else 0
        chosen[number] = place
        np.minimum(distances, 1 - vectors @ vectors[place], out=distances)
        distances[chosen[: number + 1]] = -1  # of several equal rows, one that stays is not chosen again
    return chosen, np.maximum(distances, 0)


def _shares(sizes: list[int], total: int) -> list[int]:
    """Divide a number of rows among cells in proportion to their sizes, the remainders to those that lose most by rounding."""
    total = min(total, sum(sizes))
    exact = [size * total / max(sum(sizes), 1) for size in sizes]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda cell: (shares[cell] - exact[cell], cell))
    for cell in by_remainder[: total - sum(shares)]:
        shares[cell] += 1
    return shares
