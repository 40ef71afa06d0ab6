"""Which rows belong together, and which of them stays: union-find over pairs, a survivor that no order of rows changes."""

from collections.abc import Callable

import numpy as np


class Clusters:
    """Rows that are joined pair by pair; four bytes a row."""

    def __init__(self, rows: int) -> None:
        self.roots = np.arange(rows, dtype=np.int32)
        """A row of every row's cluster, the same for all of the cluster once ``settle`` was called, int32 [rows]."""

    def join(self, pairs: np.ndarray) -> None:
        """Put the two rows of every pair into one cluster, and settle."""
        roots = self.roots.data  # quicker to index one by one than an array
        for left, right in pairs.tolist():
            low, high = _root(roots, left), _root(roots, right)
            if low != high:
                roots[max(low, high)] = min(low, high)
        while not np.array_equal(above := self.roots[self.roots], self.roots):
            self.roots[:] = above

    def survivors(self, best_first: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the best row of every row's cluster, int32 [rows].

        Args:
            best_first: Given which rows are not alone, bool [rows], returns the places of these among themselves, best first.
        """
        survivors = np.arange(len(self.roots), dtype=np.int32)
        sizes = np.bincount(self.roots, minlength=len(self.roots))
        shared = sizes[self.roots] > 1
        members = np.flatnonzero(shared)
        if len(members):
            members = members[best_first(shared)]
            clusters, best = np.unique(self.roots[members], return_index=True)
            survivors[members] = members[best][np.searchsorted(clusters, self.roots[members])]
        return survivors


def _root(roots: memoryview, row: int) -> int:
    while roots[row] != row:
        roots[row] = roots[roots[row]]
        row = roots[row]
    return row
