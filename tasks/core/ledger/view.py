"""What one process has seen of a ledger: every log entry up to a number, through two levels of index and a short tail.

A level-1 segment covers a full folder of the log, a level-2 segment a full folder of level-1 segments. Their content follows
from the log alone, so whoever sees a full folder without its segment writes it, and a lost one is written again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from tasks.core.errors import DamagedArtifactError
from tasks.core.ledger.index import Located, Rows, Search, read_segment
from tasks.core.ledger.log import Entry, Log
from tasks.core.ledger.series import Series
from tasks.core.storage import Store

_T = TypeVar("_T")


class View:
    """A growing view of one ledger."""

    def __init__(self, store: Store, prefix: str) -> None:
        """Begin with nothing seen.

        Args:
            store: The store the ledger is in.
            prefix: The ledger's folder.
        """
        self.log = Log(store, prefix)
        self.next = 0
        """Number of the first log entry that is not part of the view."""
        self._store = store
        self._level_1 = Series(store, f"{prefix}/index/1", "parquet")
        self._level_2 = Series(store, f"{prefix}/index/2", "parquet")
        self._covered_1 = 0
        self._covered_2 = 0
        self._paths: dict[str, Path] = {}  # of segments, which never change: with S3 every other question is a request
        self._tail: list[Rows] = []  # of the entries from block * _covered_1 to next

    def open(self) -> None:
        """Take in what the index covers, in a few short listings however long the log is."""
        self._covered_2 = self._level_2.end(0)
        self._covered_1 = self._level_1.end(self._covered_2 * Series.block)
        self._cover_level_1()
        self.next = self._covered_1 * Series.block

    def unseen(self) -> Iterator[int]:
        """Yield the numbers of the log entries that are there and not seen; the caller is to ``see`` each before the next."""
        while True:
            present = self.log.series.numbers(self.next // Series.block)
            # A local listing that overlaps with writes may show an entry without the one before it: go by the greatest.
            yield from range(self.next, max(present, default=-1) + 1)
            if not present or self.next % Series.block:
                return

    def see(self, entry: Entry | None) -> None:
        """Take in the next log entry; None for one that is void."""
        self._tail.append(Rows.of_entry(self.next, entry))
        self.next += 1
        self._cover_log()

    def search(self, keys: np.ndarray) -> Located:
        """Return where rows are.

        Args:
            keys: S16, in any order.

        Raises:
            DamagedArtifactError: If a segment of the index is damaged; it has been deleted, and the next run writes it again.
            StoreUnreachableError: If the store does not answer.
        """
        search, voids = Search(keys), self.log.voids
        level_1 = range(self._covered_2 * Series.block, self._covered_1)
        for series, numbers in ((self._level_2, range(self._covered_2)), (self._level_1, level_1)):
            for number in numbers:
                self._reading(series.key(number), lambda path: search.visit_segment(path, voids))
        if self._tail:
            search.visit(Rows.merged(self._tail), voids)
        return search.located

    def _cover_log(self) -> None:
        while self.next // Series.block > self._covered_1:
            self._write(self._level_1.key(self._covered_1), lambda: Rows.merged(self._tail[: Series.block]))
            del self._tail[: Series.block]
            self._covered_1 += 1
            self._cover_level_1()

    def _cover_level_1(self) -> None:
        while self._covered_1 // Series.block > self._covered_2:
            numbers = range(self._covered_2 * Series.block, (self._covered_2 + 1) * Series.block)
            parts = (self._reading(self._level_1.key(number), read_segment) for number in numbers)
            self._write(self._level_2.key(self._covered_2), lambda parts=parts: Rows.merged(parts))
            self._covered_2 += 1

    def _write(self, key: str, rows: Callable[[], Rows]) -> None:
        if self._store.size(key) is None:
            self._store.create(key, rows().segment())

    def _reading(self, key: str, read: Callable[[Path], _T]) -> _T:
        if key not in self._paths:
            self._paths[key] = self._store.local_path(key)
        path = self._paths[key]
        try:
            return read(path)
        except (pa.ArrowException, OSError) as error:
            del self._paths[key]
            path.unlink(missing_ok=True)  # with S3 this is the cached copy
            self._store.delete(key)
            raise DamagedArtifactError(
                f"the index segment {key} in the store {self._store.url} is not whole ({error}); it has been deleted: "
                "run again and it is written anew from the log, nothing is lost"
            ) from error
