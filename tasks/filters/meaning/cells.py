"""Rows parted into cells of similar meaning, so that only those of one cell are compared with each other.

Spherical k-means (Dhillon and Modha 2001) on a sample, as SemDeDup does it (Abbas et al. 2023, arXiv 2303.09540). Two duplicates
on either side of a border are not found.
"""

from collections.abc import Iterator

import numpy as np

from tasks.filters.meaning.row_vectors import RowVectors

_CELL_ROWS = 4096
_SAMPLED_PER_CELL = 64
_ROUNDS = 10
_CHUNK_ROWS = 8192


def cells_of(rows: RowVectors, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the numbers of the rows of each cell, which is of about 4,096 rows; few rows are one cell.

    Args:
        rows: All rows.
        chosen: Numbers of the rows to part.
    """
    count = -(-len(chosen) // _CELL_ROWS)
    if count <= 1:
        yield chosen
        return
    centres = _centres(rows, chosen, count)
    cells = np.empty(len(chosen), np.int32)
    for first in range(0, len(chosen), _CHUNK_ROWS):
        chunk = slice(first, first + _CHUNK_ROWS)
        cells[chunk] = _nearest(rows.of(chosen[chunk]), centres)
    order = np.argsort(cells, kind="stable")
    yield from np.split(chosen[order], np.cumsum(np.bincount(cells, minlength=count))[:-1])


def _centres(rows: RowVectors, chosen: np.ndarray, count: int) -> np.ndarray:
    """Return the centres of cells, float32 [count, directions]; they do not depend on the order of the rows."""
    drawn = rows.of(chosen[np.argsort(rows.keys[chosen])][: count * _SAMPLED_PER_CELL])
    centres = drawn[:count].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(drawn, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, drawn)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-6), centres)
    return centres


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.argmax(vectors @ centres.T, axis=1)
