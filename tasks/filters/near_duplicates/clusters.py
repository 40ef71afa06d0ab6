"""Which rows belong together, and which of them stays: union-find over pairs, a survivor that no order of rows changes."""

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

    def survivors(self, scores: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return the row that stays of every row's cluster: of the best score, and among equal ones the lowest key, int32 [rows].

        Args:
            scores: How good every row is, more is better, float64 [rows].
            keys: Every row's own key, uint64 [rows].
        """
        survivors = np.arange(len(self.roots), dtype=np.int32)
        sizes = np.bincount(self.roots, minlength=len(self.roots))
        members = np.flatnonzero(sizes[self.roots] > 1)
        order = members[np.lexsort((keys[members], -scores[members], self.roots[members]))]
        clusters, first = np.unique(self.roots[order], return_index=True)
        survivors[order] = order[first][np.searchsorted(clusters, self.roots[order])]
        return survivors


def _root(roots: memoryview, row: int) -> int:
    while roots[row] != row:
        roots[row] = roots[roots[row]]
        row = roots[row]
    return row
