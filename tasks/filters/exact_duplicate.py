"""Only one of several equal rows. Prompt and answer must both be equal: many prompts share one label rightly."""

import hashlib
from itertools import chain

import numpy as np

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import CandidateSet, FilterSettings, SetFilter, SetFindings
from tasks.filters.survivors import losers

_DIGEST_BYTES = 16
_BLANKS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f"
"""What ``str.split`` takes for white space in ASCII, but for the blank."""


class ExactDuplicateSettings(FilterSettings):
    """Rows whose prompt and answer are both equal to another row's, but for case and white space."""


def reject_exact_duplicates(settings: ExactDuplicateSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``exact_duplicate``. Of equal rows the best one stays; see ``losers``."""
    del settings, context

    def look(rows: CandidateSet) -> SetFindings:
        digests = bytearray()
        for _, candidates in rows.batches():
            digests += b"".join(map(_digest, candidates))
        halves = np.frombuffer(bytes(digests), np.uint64).reshape(-1, 2)
        return SetFindings({"exact_duplicate": losers(rows, _groups(halves))})

    return look


def _digest(candidate: Candidate) -> bytes:
    turns = chain.from_iterable((message["role"], message["content"]) for message in candidate.messages)
    parts = (*turns, candidate.text or "", candidate.completion)
    return hashlib.blake2b("\0".join(map(_plain, parts)).encode(), digest_size=_DIGEST_BYTES).digest()


def _plain(text: str) -> str:
    """Return ``" ".join(text.lower().split())``; of ASCII, in a quarter of the time."""
    if not text.isascii():
        return " ".join(text.lower().split())
    plain = text.lower()
    for blank in _BLANKS:
        plain = plain.replace(blank, " ")
    while "  " in plain:
        plain = plain.replace("  ", " ")
    return plain.strip()


def _groups(halves: np.ndarray) -> np.ndarray:
    """Return a number for every distinct digest: int64 [rows]."""
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    starts = np.ones(len(order), bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(starts) - 1
    return groups
