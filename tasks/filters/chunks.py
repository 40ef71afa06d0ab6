"""Work cut into pieces whose arrays fit in memory, whatever the sizes of single rows."""

from collections.abc import Iterator

import numpy as np


def chunks_of(sizes: np.ndarray, limit: int) -> Iterator[slice]:
    """Yield slices of successive rows whose sizes add up to at most ``limit``; a larger row is alone.

    Args:
        sizes: How much every row takes, integers [rows].
        limit: How much a piece may take.
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        taken = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, taken + limit, "right")), first + 1)
        yield slice(first, last)
        first = last
