"""Rows that say nearly the same: found by MinHash, verified by their exact similarity, and all but one of them rejected.

Two rows are near duplicates if both their prompts and their answers are: the similarity is the lower of the two, each the
Jaccard similarity of the sets of word 3-grams. So rows of one label are never merged for their label, and neither are two
answers to one prompt that differ. Rows that are near duplicates of one row, directly or over others, are a cluster.

Everything that grows with the length of the rows is on disk; memory grows by some 40 bytes a row, with a few bands' keys.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from tasks.filters.near_duplicates.candidates import rows_of_one_bucket, similarity
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
        self._scores: list[np.ndarray] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.__exit__(kind, error, trace)

    def add(self, prompts: Sequence[str], answers: Sequence[str], scores: np.ndarray, keys: np.ndarray) -> None:
        """Add rows.

        Args:
            prompts: Texts of the prompts.
            answers: Texts of the answers.
            scores: How good the rows are, float64 [rows]; of near duplicates, the best one stays.
            keys: What identifies the rows, uint64 [rows]; of equally good ones, the one with the lowest key stays.
        """
        self._writer.add(prompts, answers)
        self._scores.append(scores)
        self._keys.append(keys)

    def find(self) -> NearDuplicates:
        """Return the near duplicates among all rows that were added."""
        self._writer.__exit__(None, None, None)
        if not self._keys:
            return NearDuplicates(np.zeros(0, np.int32), np.zeros(0))
        keys, scores = np.concatenate(self._keys), np.concatenate(self._scores)
        sets = ShingleSets(self._folder, self._max_template_share)
        clusters = Clusters(len(sets))
        bands = _write_bands(self._folder / "bands", sets)
        for band in range(BANDS):
            pairs = rows_of_one_bucket(bands[band], keys)
            pairs = pairs[clusters.roots[pairs[:, 0]] != clusters.roots[pairs[:, 1]]]
            clusters.join(pairs[similarity(sets, pairs) >= self._threshold])
        survivors = clusters.survivors(scores, keys)
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
