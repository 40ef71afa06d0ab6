"""A number for every row that says which row it is and nothing else: to order rows, or to draw some, the same in every run."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tasks.filters.candidate import Candidate

EXACT_BITS = 53
"""Bits of a whole number that a score, a 64-bit floating-point number, holds exactly."""


def row_keys(candidates: Sequence[Candidate], seed: int = 0) -> np.ndarray:
    """Return evenly spread numbers of candidates, uint64 [candidates]; a row's own does not depend on any other row.

    Args:
        candidates: The rows.
        seed: Another one gives other numbers.
    """
    digests = [
        hashlib.blake2b(f"{seed}\0{row.id}\0{row.teacher}\0{row.sample_index}\0{row.turn}".encode(), digest_size=8).digest()
        for row in candidates
    ]
    return np.frombuffer(b"".join(digests), "<u8")
