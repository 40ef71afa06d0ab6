"""What near duplicates are compared by: the sets of word 3-grams of a row's prompt and of its answer, kept on disk.

A part with fewer than three words has one shingle, all of its words. Word runs that many different prompts have belong to the
prompts' template, which would make every two rows of a task near duplicates; they are left out.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from tasks.filters.words import Words, hash_ngrams, hash_whole, hash_words

NGRAM_WORDS = 3
_SAMPLED_PROMPTS = 4096
_MIN_TEMPLATE_PROMPTS = 3
_TYPES = {"shingles": np.uint32, "counts": np.uint32, "prompts": np.uint64}


class Parts(NamedTuple):
    """Shingles of some rows: those of part p, which is prompt p / 2 if p is even, else its answer, begin at ``starts[p]``."""

    shingles: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Shingles of every part."""
        return np.diff(self.starts, append=len(self.shingles))


class ShingleWriter:
    """Appends rows to the files of a folder, as a context manager; ``ShingleSets`` reads them."""

    def __init__(self, folder: Path) -> None:
        """Begin the files; the folder exists."""
        self._stack = ExitStack()
        self._files = {name: self._stack.enter_context((folder / name).open("wb")) for name in _TYPES}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def add(self, prompts: Sequence[str], answers: Sequence[str]) -> None:
        """Add rows by the texts of their prompts and answers, some thousand at a time."""
        words = hash_words([text for row in zip(prompts, answers, strict=True) for text in row], marks=True)
        parts, whole = _distinct(words)
        for name, values in {"shingles": parts.shingles, "counts": parts.counts, "prompts": whole[::2]}.items():
            self._files[name].write(values.astype(_TYPES[name]).tobytes())


class ShingleSets:
    """The rows that a ``ShingleWriter`` wrote, read from disk when they are asked for."""

    def __init__(self, folder: Path, max_template_share: float) -> None:
        """Open the files and find the prompts' templates.

        Args:
            folder: Where the writer wrote.
            max_template_share: Word runs of more of the different prompts than this share, and of at least 3, are template.
        """
        self._shingles, counts, self._prompts = (
            np.memmap(folder / name, kind, "r") if (folder / name).stat().st_size else np.zeros(0, kind)
            for name, kind in _TYPES.items()
        )
        self._offsets = np.memmap(folder / "offsets", np.int64, "w+", shape=(len(counts) + 1,))
        self._offsets[0] = 0
        np.cumsum(counts, dtype=np.int64, out=self._offsets[1:])
        self._template = np.zeros(0, np.uint32)
        self._template = self._find_template(max_template_share)

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def sizes(self) -> np.ndarray:
        """Shingles of every row, templates included, int64 [rows]."""
        return self._offsets[2::2] - self._offsets[:-2:2]

    def read(self, rows: np.ndarray) -> Parts:
        """Return the shingles of rows, given by number, without those of templates; no part is without any."""
        parts = (rows[:, None] * 2 + np.arange(2)).ravel()
        begins = self._offsets[parts]
        counts = self._offsets[parts + 1] - begins
        starts = np.cumsum(counts) - counts
        places = np.repeat(begins - starts, counts) + np.arange(counts.sum())
        found = Parts(self._shingles[places], starts)
        return self._without_template(found, rows) if len(self._template) else found

    def _without_template(self, parts: Parts, rows: np.ndarray) -> Parts:
        place = np.searchsorted(self._template, parts.shingles)
        place[place == len(self._template)] = 0
        keep = self._template[place] != parts.shingles
        bare = np.flatnonzero(np.add.reduceat(keep, parts.starts, dtype=np.int64) == 0)
        # A prompt that is nothing but template is compared as a whole.
        first = parts.starts[bare]
        parts.shingles[first] = _tagged(self._prompts[rows[bare // 2]], 0)
        keep[first] = True
        counts = np.add.reduceat(keep, parts.starts, dtype=np.int64)
        return Parts(parts.shingles[keep], np.cumsum(counts) - counts)

    def _find_template(self, max_share: float) -> np.ndarray:
        """Return the word runs of too many prompts, out of a sample that does not depend on the order of the rows."""
        different, rows = np.unique(self._prompts, return_index=True)
        rows = rows[:_SAMPLED_PROMPTS]
        if not len(rows):
            return np.zeros(0, np.uint32)
        shingles, seen = np.unique(self.read(rows).shingles, return_counts=True)
        limit = max(max_share * min(len(different), _SAMPLED_PROMPTS), _MIN_TEMPLATE_PROMPTS - 1)
        return shingles[(seen > limit) & (shingles % 2 == 0)]


def _distinct(words: Words) -> tuple[Parts, np.ndarray]:
    """Return the sets of shingles of texts that are prompts and answers by turns, and one hash of each text."""
    grams, whole = hash_ngrams(words, NGRAM_WORDS), hash_whole(words)
    parts = np.arange(len(words.counts))
    short = np.flatnonzero(words.counts < NGRAM_WORDS)
    values = np.concatenate([grams.hashes, whole[short]])
    owners = np.concatenate([np.repeat(parts, grams.counts), short]).astype(np.uint64)
    # Sorted by owner, then by value; equal neighbours are one element of a set.
    keys = np.sort(owners << np.uint64(32) | _tagged(values, owners % np.uint64(2)))
    keys = keys[np.concatenate([np.ones(1, bool), keys[1:] != keys[:-1]])[: len(keys)]]
    counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(parts))
    return Parts(keys.astype(np.uint32), np.cumsum(counts) - counts), whole


def _tagged(hashes: np.ndarray, part: np.ndarray | int) -> np.ndarray:
    """Return 32 bits of hashes; the lowest tells prompts (0) from answers (1), which so never share a shingle."""
    return (hashes >> np.uint64(33)) << np.uint64(1) | np.uint64(part)
