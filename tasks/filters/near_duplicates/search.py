"""The search for near duplicates: shingles to disk, band by band candidates, exact similarity, clusters.

Everything that grows with the length of the rows is on disk; memory grows by some 40 bytes a row, with one band's keys.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from tasks.filters.near_duplicates.candidates import FindPairs, pairs_here, similarity
from tasks.filters.near_duplicates.clusters import Clusters
from tasks.filters.near_duplicates.shingles import ShingleSets, ShingleWriter
from tasks.filters.near_duplicates.signatures import BANDS, band_keys

_CHUNK_ROWS = 1024  # of about 100 shingles: what is permuted stays in the processor's cache


class NearDuplicates(NamedTuple):
    """What was found. A row that stays is its own survivor."""

    survivors: np.ndarray
    """Number of the row that stays of every row's cluster, int32 [rows]."""
    similarities: np.ndarray
    """Of every row to its survivor, float64 [rows]. Below the threshold for a row that belongs to its cluster over others."""


class NearDuplicateSearch:
    """Takes rows batch by batch, then finds the near duplicates among them. A context manager."""

    def __init__(self, folder: Path, threshold: float, max_template_share: float) -> None:
        """Begin.

        Args:
            folder: A local folder for some 800 bytes a row of 130 words; it exists and is empty.
            threshold: Least similarity of near duplicates.
            max_template_share: Word runs of more of the different prompts than this share are not compared.
        """
        self._folder, self._threshold, self._max_template_share = folder, threshold, max_template_share
        self._writer = ShingleWriter(folder)
        self._keys: list[np.ndarray] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.__exit__(kind, error, trace)

    def add(self, prompts: Sequence[str], answers: Sequence[str], keys: np.ndarray) -> None:
        """Add rows.

        Args:
            prompts: Texts of the prompts.
            answers: Texts of the answers.
            keys: What identifies the rows, uint64 [rows].
        """
        self._writer.add(prompts, answers)
        self._keys.append(keys)

    def find(self, best_first: Callable[[np.ndarray], np.ndarray], pairs: FindPairs = pairs_here) -> NearDuplicates:
        """Return the near duplicates among all rows that were added.

        Args:
            best_first: Given which rows have near duplicates, bool [rows], returns the places of these among themselves, the best
                one first; of every cluster, the best stays.
            pairs: Given every row's keys in the bands and own key, yields pairs that may be near duplicates.
        """
        self._writer.__exit__(None, None, None)
        if not self._keys:
            return NearDuplicates(np.zeros(0, np.int32), np.zeros(0))
        keys = np.concatenate(self._keys)
        sets = ShingleSets(self._folder, self._max_template_share)
        clusters = Clusters(len(sets))
        bands = _write_bands(self._folder / "bands", sets)
        for some in pairs(bands, keys):
            parted = some[clusters.roots[some[:, 0]] != clusters.roots[some[:, 1]]]
            clusters.join(parted[similarity(sets, parted) >= self._threshold])
        survivors = clusters.survivors(best_first)
        similarities = np.ones(len(sets))
        rejected = np.flatnonzero(survivors != np.arange(len(sets)))
        similarities[rejected] = similarity(sets, np.stack([rejected, survivors[rejected]], axis=1))
        return NearDuplicates(survivors, similarities)


def _write_bands(path: Path, sets: ShingleSets) -> np.ndarray:
    bands = np.memmap(path, np.uint64, "w+", shape=(BANDS, len(sets)))
    for first in range(0, len(sets), _CHUNK_ROWS):
        rows = np.arange(first, min(first + _CHUNK_ROWS, len(sets)))
        parts = sets.read(rows)
        bands[:, rows] = band_keys(parts.shingles, parts.starts[::2])
    return bands
