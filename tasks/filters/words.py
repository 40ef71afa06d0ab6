"""Texts as arrays of word hashes, so that sets of word n-grams are compared by numpy instead of word by word in Python.

A word is a run of letters, digits and combining marks in lower case, after NFKC normalisation (Unicode Standard Annex 15).
Characters of scripts that put no spaces between words (Chinese, Japanese, Thai, ...) are words of their own.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tasks.filters.chunks import chunks_of

_SEPARATOR, _LETTER, _ALONE = 0, 1, 2
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0xA4CF), (0xF900, 0xFAFF))
_BMP = 0x10000
_PIECE_CHARACTERS = 1 << 15  # of one pass: its arrays stay in the processor's cache


class Words(NamedTuple):
    """The words of some texts, one after the other.

    ``hashes`` is uint64 [words]; text i has the words from ``offsets[i]`` to ``offsets[i + 1]``.
    """

    hashes: np.ndarray
    offsets: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Words of every text."""
        return np.diff(self.offsets)


def hash_words(texts: Sequence[str], marks: bool = False) -> Words:
    """Return the words of texts as stable 64-bit hashes.

    Args:
        texts: Any texts.
        marks: Count every punctuation mark and symbol as a word too, so that C, C++ and C# are told apart; else they are
            nothing but separators.
    """
    plain = [_normalised(text) for text in texts]
    sizes = np.fromiter((len(text) + 1 for text in plain), np.int64, len(plain))
    pieces = [_hash_piece(plain[chunk], sizes[chunk], marks) for chunk in chunks_of(sizes, _PIECE_CHARACTERS)]
    offsets = np.zeros(len(plain) + 1, np.int64)
    np.cumsum(np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in pieces)]), out=offsets[1:])
    return Words(np.concatenate([np.zeros(0, np.uint64), *(hashes for hashes, _ in pieces)]), offsets)


def hash_ngrams(words: Words, size: int) -> Words:
    """Return every text's runs of ``size`` words as hashes; a text with fewer words has none."""
    hashes, counts = words.hashes, words.counts
    grams = hashes[: max(len(hashes) - size + 1, 0)].copy()
    for place in range(1, size):
        grams *= np.uint64(_BASE)
        grams ^= hashes[place : place + len(grams)]
    inside = np.ones(len(hashes), bool)  # does the run that starts here stay in its text?
    for place in range(1, size):
        last = words.offsets[1:] - place
        inside[last[last >= words.offsets[:-1]]] = False
    offsets = np.concatenate([[0], np.cumsum(np.maximum(counts - size + 1, 0))])
    return Words(mix(grams[inside[: len(grams)]]), offsets)


def hash_whole(words: Words) -> np.ndarray:
    """Return one hash of all of a text's words in their order, uint64 [texts]; texts without words have the same one."""
    sums = _weighted_sums(words.hashes, words.offsets[:-1], words.offsets[1:])
    return mix(sums + words.counts.astype(np.uint64))


def mix(values: np.ndarray) -> np.ndarray:
    """Spread every bit of uint64 values over all bits, in place: the finaliser of MurmurHash3 (Austin Appleby, 2011)."""
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def _normalised(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def _hash_piece(texts: Sequence[str], sizes: np.ndarray, marks: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of the words of some texts, and how many words every text has."""
    codes, kinds = _characters("\n".join([*texts, ""]), marks)
    letter = kinds == _LETTER
    begins = kinds == _ALONE
    begins[0] |= letter[0]
    begins[1:] |= letter[1:] & ~letter[:-1]
    starts = np.flatnonzero(begins)
    powers, inverses = _powers(len(codes))
    # A word's sum runs on to where the next one begins: what is between them weighs nothing.
    weights = np.multiply(codes * (kinds != _SEPARATOR), powers[: len(codes)], dtype=np.uint64)
    hashes = mix(np.add.reduceat(weights, starts) * inverses[starts])
    bounds = np.searchsorted(starts, np.concatenate([[0], np.cumsum(sizes)]))
    return hashes, np.diff(bounds)


def _characters(text: str, marks: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of every character, unsigned integers [characters], and what it is, uint8 [characters]."""
    if text.isascii():  # most are, and a byte a character is looked up several times as fast
        raw = text.encode()
        return np.frombuffer(raw, np.uint8), np.frombuffer(raw.translate(_ascii_kinds(marks)), np.uint8)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, np.take(_kinds(marks), codes, mode="clip")


def _weighted_sums(values: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the sum of value * base ** place of every run from a start to its stop, places counted from the run's start."""
    powers, inverses = _powers(len(values) + 1)
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * powers[: len(values)], out=sums[1:])
    return (sums[stops] - sums[starts]) * inverses[starts]


@lru_cache(maxsize=2)
def _kinds(marks: bool) -> np.ndarray:
    """Return what every character of the Basic Multilingual Plane is, and at the end what all others are."""
    kinds = np.full(_BMP + 1, _ALONE, np.uint8)
    for code in range(_BMP):
        category = unicodedata.category(chr(code))
        if category[0] in "LNM":
            kinds[code] = _LETTER
        else:
            kinds[code] = _ALONE if marks and category[0] in "PS" else _SEPARATOR
    for first, last in _UNSPACED:
        block = kinds[first : last + 1]
        block[block == _LETTER] = _ALONE
    return kinds


@lru_cache(maxsize=2)
def _ascii_kinds(marks: bool) -> bytes:
    """Return what every byte is, as a table for ``bytes.translate``; only the first 128 are characters of ASCII."""
    return _kinds(marks)[:256].tobytes()


_tables: list[np.ndarray] = []


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at least ``count`` powers of the base modulo 2**64, and of its inverse."""
    if not _tables or len(_tables[0]) < count:
        size = max(count, _PIECE_CHARACTERS + 1)
        _tables[:] = [
            np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(size - 1, base, np.uint64)]))
            for base in (_BASE, pow(_BASE, -1, 1 << 64))
        ]
    return _tables[0], _tables[1]
