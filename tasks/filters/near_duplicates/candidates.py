"""Pairs of rows that may be near duplicates, and how alike they really are."""

from collections.abc import Callable, Iterator

import numpy as np

from tasks.filters.chunks import chunks_of
from tasks.filters.near_duplicates.shingles import ShingleSets

FindPairs = Callable[[np.ndarray, np.ndarray], Iterator[np.ndarray]]
"""Given every row's keys in the bands, uint64 [bands, rows], and its own, uint64 [rows], yields pairs of rows, int32 [n, 2]."""

NEIGHBOURS = 4
"""Rows after a row in its bucket that it is compared with."""
_CHUNK_SHINGLES = 1 << 20


def pairs_here(bands: np.ndarray, keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of rows that share a bucket, band by band.

    Args:
        bands: Every row's key in every band, uint64 [bands, rows].
        keys: Every row's own key, uint64 [rows].
    """
    for band in bands:
        yield rows_of_one_bucket(band, keys)


def rows_of_one_bucket(band: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return pairs of rows that have the same key in a band, int32 [pairs, 2].

    A row is paired with the four that follow it in its bucket in the order of the rows' keys, so that buckets of up to five rows
    are compared fully, larger ones in time that grows with their size, and the order in which rows come changes nothing.

    Args:
        band: Every row's key in the band, uint64 [rows].
        keys: Every row's own key, uint64 [rows].
    """
    order = np.argsort(band)
    ordered = band[order]
    same = ordered[1:] == ordered[:-1]
    shared = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    rows, buckets = order[shared].astype(np.int32), ordered[shared]
    rows = rows[np.lexsort((keys[rows], buckets))]
    pairs = []
    for distance in range(1, NEIGHBOURS + 1):
        together = buckets[distance:] == buckets[:-distance]
        pairs.append(np.stack([rows[:-distance][together], rows[distance:][together]], axis=1))
    return np.concatenate(pairs)


def similarity(sets: ShingleSets, pairs: np.ndarray) -> np.ndarray:
    """Return the lower of two exact Jaccard similarities, the prompts' and the answers', float64 [pairs].

    Args:
        sets: The rows' shingles.
        pairs: Numbers of rows, [pairs, 2].
    """
    sizes = sets.sizes[pairs].sum(axis=1)
    return np.concatenate([np.zeros(0), *(_similarity(sets, pairs[chunk]) for chunk in chunks_of(sizes, _CHUNK_SHINGLES))])


def _similarity(sets: ShingleSets, pairs: np.ndarray) -> np.ndarray:
    parts = sets.read(pairs.ravel())
    counts = parts.counts.reshape(-1, 2, 2)  # pair, row, part
    owners = np.arange(2 * len(pairs)).reshape(-1, 1, 2).repeat(2, axis=1).ravel()
    keys = np.sort(np.repeat(owners, parts.counts).astype(np.uint64) << np.uint64(32) | parts.shingles)
    both = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)
    shared = np.bincount(both.astype(np.int64), minlength=2 * len(pairs)).reshape(-1, 2)
    return (shared / (counts.sum(axis=1) - shared)).min(axis=1)
