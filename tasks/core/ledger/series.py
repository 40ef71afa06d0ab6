"""Objects numbered 0, 1, 2, ... in folders of 64, so that finding the end of a long series lists one short folder.

The ledger's log and both levels of its index are such series; folder ``m`` of one level is what object ``m`` of the next covers.
"""

from itertools import count
from pathlib import PurePosixPath
from typing import ClassVar

from tasks.core.storage import Store


class Series:
    """One numbered series of create-only objects."""

    block: ClassVar[int] = 64
    """Objects in one folder."""

    def __init__(self, store: Store, prefix: str, suffix: str) -> None:
        """Name a series; nothing is read yet.

        Args:
            store: The store it is in.
            prefix: Its folder.
            suffix: How the objects' names end, without the dot.
        """
        self._store = store
        self._prefix = prefix
        self._suffix = suffix

    def key(self, number: int) -> str:
        """Return the key of an object."""
        return f"{self._prefix}/{number // self.block:06d}/{number % self.block:02d}.{self._suffix}"

    def numbers(self, block: int) -> set[int]:
        """Return which objects of one folder are there."""
        keys = self._store.keys(f"{self._prefix}/{block:06d}")
        return {block * self.block + int(PurePosixPath(key).stem) for key in keys}

    def end(self, start: int) -> int:
        """Return the first number from ``start`` on that is not there."""
        present: set[int] = set()
        for number in count(start):
            if number == start or number % self.block == 0:
                present = self.numbers(number // self.block)
            if number not in present:
                return number
        raise AssertionError  # count never ends
