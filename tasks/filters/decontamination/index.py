"""Held-out texts as a sorted index of their word n-grams, and how much of each a training text covers.

GPT-3 looked for runs of 13 words (Brown et al., arXiv 2005.14165, appendix C); Tulu 3 for runs of 8, and for prompts of which one
training row covers more than half of the words (Lambert et al., arXiv 2411.15124, section 3.2). This is the latter.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.filters.chunks import chunks_of
from tasks.filters.words import Words, hash_ngrams, hash_whole, hash_words

_MIN_TEMPLATE_ITEMS = 3
_MAX_ITEMS = 100
_SIEVE_BITS = 22
_CHUNK_MATCHES = 1 << 20


class HeldOut(NamedTuple):
    """A text that no training row may repeat."""

    source: str
    """``test``, or the name of an evaluation set."""
    id: str
    text: str


class Matches(NamedTuple):
    """Pairs of a training row and a held-out text that have something in common, each pair once, in ascending order."""

    rows: np.ndarray
    """Row of the batch that was asked about, int64 [pairs]."""
    items: np.ndarray
    """Number of the held-out text, int64 [pairs]."""
    coverages: np.ndarray
    """Share of the held-out text's words that the row covers, float64 [pairs]."""


class HeldOutIndex:
    """The n-grams of held-out texts, some 30 bytes each.

    N-grams of more than a share of the texts, or of more than 100, belong to the template of the prompts: their words do not
    count, and n-grams with one of these words are not looked for. A text that has no n-gram of its own, such as a short one, is
    compared whole.
    """

    def __init__(self, items: Sequence[HeldOut], ngram_words: int, max_template_share: float, sample: Sequence[str] = ()) -> None:
        """Make the index.

        Args:
            items: The held-out texts.
            ngram_words: Words of an n-gram.
            max_template_share: N-grams of more of the different texts than this share, and of at least 3, are template.
            sample: Prompts of some training rows, which count among the texts that show the template; see ``needs_sample``.
        """
        self.items = items
        self._size = ngram_words
        words = hash_words([item.text for item in items])
        grams, whole = hash_ngrams(words, ngram_words), hash_whole(words)
        owners = np.repeat(np.arange(len(items)), grams.counts)
        places = np.arange(len(owners)) - grams.offsets[:-1][owners]
        others = hash_words(sample)
        other_grams, other_whole = hash_ngrams(others, ngram_words), hash_whole(others)
        template = _frequent(
            np.concatenate([grams.hashes, other_grams.hashes]),
            np.concatenate([whole[owners], np.repeat(other_whole, other_grams.counts)]),
            max_template_share * len(np.union1d(whole, other_whole)),
        )
        common = np.isin(grams.hashes, template)
        in_template = self._spread(words, owners[common], places[common])
        before = np.concatenate([[0], np.cumsum(in_template)])
        starts = words.offsets[:-1][owners] + places
        mine = before[starts + ngram_words] == before[starts]
        order = np.flatnonzero(mine)[np.lexsort((places[mine], owners[mine], grams.hashes[mine]))]
        self._owners, self._places = owners[order], places[order]
        self._grams, first = np.unique(grams.hashes[order], return_index=True)
        self._firsts = np.append(first, len(order))
        self._words = words.counts - (before[words.offsets[1:]] - before[words.offsets[:-1]])
        self._whole_order = np.argsort(whole, kind="stable")
        self._whole = whole[self._whole_order]
        # Most n-grams of a training text are in no held-out one: a look at their first bits tells.
        self._sieve = np.zeros(1 << _SIEVE_BITS, bool)
        self._sieve[_sieved(self._grams)] = True

    def match(self, prompts: Sequence[str], answers: Sequence[str]) -> Matches:
        """Compare training rows with all held-out texts.

        Args:
            prompts: The rows' prompts; a held-out text that has the very same words as one of them is covered fully.
            answers: The rows' answers; an n-gram may begin in the prompt and end in the answer.
        """
        words = hash_words([text for row in zip(prompts, answers, strict=True) for text in row])
        pairs, coverages = self._by_ngrams(Words(words.hashes, words.offsets[::2]))
        equal = self._by_whole(hash_whole(words)[::2], words.counts[::2])
        pairs, place = np.unique(np.concatenate([equal, pairs]), return_index=True)
        rows, items = np.divmod(pairs, max(len(self.items), 1))
        return Matches(rows, items, np.concatenate([np.ones(len(equal)), coverages])[place])

    def _by_ngrams(self, words: Words) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs, as the row's number times that of all held-out texts plus the held-out text's, and their coverages."""
        grams = hash_ngrams(words, self._size)
        likely = np.flatnonzero(self._sieve[_sieved(grams.hashes)])
        rows = np.searchsorted(grams.offsets, likely, "right") - 1
        found = np.searchsorted(self._grams, grams.hashes[likely])
        there = found < len(self._grams)
        there[there] = self._grams[found[there]] == grams.hashes[likely[there]]
        hits = np.unique(rows[there] * len(self._grams) + found[there])
        rows, found = np.divmod(hits, max(len(self._grams), 1))
        counts = self._firsts[found + 1] - self._firsts[found]
        pairs, coverages = [np.zeros(0, np.int64)], [np.zeros(0)]
        for some in chunks_of(np.bincount(rows, weights=counts, minlength=len(words.counts)), _CHUNK_MATCHES):
            hit = slice(*np.searchsorted(rows, [some.start, some.stop]))
            starts = np.cumsum(counts[hit]) - counts[hit]
            entries = np.repeat(self._firsts[found[hit]] - starts, counts[hit]) + np.arange(counts[hit].sum())
            owned = np.repeat(rows[hit], counts[hit]) * len(self.items) + self._owners[entries]
            order = np.lexsort((self._places[entries], owned))
            different, where = np.unique(owned[order], return_inverse=True)
            covered = self._covered(where, self._places[entries][order], len(different))
            pairs.append(different)
            coverages.append(covered / self._words[different % len(self.items)])
        return np.concatenate(pairs), np.concatenate(coverages)

    def _by_whole(self, whole: np.ndarray, words: np.ndarray) -> np.ndarray:
        first, last = (np.searchsorted(self._whole, whole, side) for side in ("left", "right"))
        counts = np.where(words > 0, last - first, 0)
        rows = np.repeat(np.arange(len(whole)), counts)
        starts = np.cumsum(counts) - counts
        return rows * len(self.items) + self._whole_order[np.arange(len(rows)) - starts[rows] + first[rows]]

    def _spread(self, words: Words, owners: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return which words are in any of some n-grams of the texts, bool [words]."""
        steps = np.zeros(len(words.hashes) + 1, np.int64)
        starts = words.offsets[:-1][owners] + places
        np.add.at(steps, starts, 1)
        np.add.at(steps, starts + self._size, -1)
        return np.cumsum(steps)[:-1] > 0

    def _covered(self, groups: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
        """Return how many words n-grams cover, int64 [groups], given their places in ascending order, group by group."""
        widths = np.full(len(places), self._size)
        if len(places) > 1:
            step = np.where(groups[1:] == groups[:-1], places[1:] - places[:-1], self._size)
            widths[:-1] = np.minimum(step, self._size)
        return np.bincount(groups, weights=widths, minlength=count).astype(np.int64)


def needs_sample(items: Sequence[HeldOut], max_template_share: float) -> bool:
    """Return whether held-out texts are too few to show what their template is: one alone might be all template."""
    return len(items) * max_template_share < _MIN_TEMPLATE_ITEMS


def _frequent(grams: np.ndarray, texts: np.ndarray, limit: float) -> np.ndarray:
    """Return the n-grams of too many different texts, given the hash of each one's text."""
    order = np.lexsort((texts, grams))
    grams, texts = grams[order], texts[order]
    new = np.ones(len(order), bool)
    new[1:] = (grams[1:] != grams[:-1]) | (texts[1:] != texts[:-1])
    different, counts = np.unique(grams[new], return_counts=True)
    return different[counts > min(max(limit, _MIN_TEMPLATE_ITEMS - 1), _MAX_ITEMS)]


def _sieved(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)
