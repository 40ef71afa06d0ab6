"""The ledger's log: create-only numbered entries, each of which says which rows of one shard count.

Of several runs that want one number exactly one gets it, so a run that has read every entry before its own knows every row that
was committed before it. An entry can be void: its shard, or the entry itself, was found damaged, and its rows count as absent.
"""

from functools import cached_property
from pathlib import PurePosixPath
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tasks.core.errors import DamagedArtifactError, DataError
from tasks.core.ledger.keys import pack_keys
from tasks.core.ledger.series import Series
from tasks.core.records import Generation
from tasks.core.storage import Store

FINISHED, CUT, FAILED = 0, 1, 2
_STATES = {
    "stop": FINISHED,
    "length": CUT,
    "repetition": CUT,
    "content_filter": CUT,
    "error": FAILED,
    "abort": FAILED,
    "refused": FAILED,
}


def state_of(row: Generation) -> int:
    """Return a row's state.

    Raises:
        DataError: If its finish reason is none that a teacher gives.
    """
    if row["finish_reason"] not in _STATES:
        raise DataError(f"a row has the finish reason {row['finish_reason']!r}, wanted one of {', '.join(_STATES)}")
    return _STATES[row["finish_reason"]]


class Entry(BaseModel):
    """What a log entry says. The lists are parallel: one item for each row that counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    writer: str
    """Which process's ledger wrote it: tells an own write whose answer was lost from another run's."""

    shard: str
    """The shard's key in the store."""

    size_bytes: int
    sha256: str

    keys: list[str]
    rows: list[int]
    """Row numbers in the shard."""

    completion_tokens: list[int]
    states: list[int]
    """``FINISHED``, ``CUT`` or ``FAILED``."""

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        if len({len(self.keys), len(self.rows), len(self.completion_tokens), len(self.states)}) != 1:
            raise ValueError("its lists differ in length")
        if not len(self.packed_keys):
            raise ValueError("it has no rows")
        return self

    @cached_property
    def packed_keys(self) -> np.ndarray:
        """The keys as an array, see ``ledger_keys.py``."""
        return pack_keys(self.keys)


class Log:
    """The log of one ledger."""

    def __init__(self, store: Store, prefix: str) -> None:
        """Name a log; nothing is read yet.

        Args:
            store: The store it is in.
            prefix: The ledger's folder.
        """
        self.series = Series(store, f"{prefix}/log", "json")
        self.voids: set[int] = set()
        """Numbers of the entries that were void at the last refresh or found damaged since."""
        self._store = store
        self._void_prefix = f"{prefix}/void"

    def refresh_voids(self) -> None:
        """Read which entries are void."""
        self.voids = {int(PurePosixPath(key).name) for key in self._store.keys(self._void_prefix)}

    def create(self, number: int, entry: Entry) -> bool:
        """Write an entry unless its number is taken; return whether this call wrote it."""
        return self._store.create(self.series.key(number), entry.model_dump_json().encode())

    def read(self, number: int) -> Entry | None:
        """Return an entry, or None when it is void.

        Raises:
            FileNotFoundError: If there is no such entry.
            DamagedArtifactError: If it cannot be read; it is void from now on.
            StoreUnreachableError: If the store does not answer.
        """
        if number in self.voids:
            return None
        content = self._store.read(self.series.key(number))
        try:
            return Entry.model_validate_json(content)
        except ValidationError as error:
            raise self._damaged(number, f"is no whole log entry ({len(content)} bytes)") from error

    def read_known(self, number: int) -> Entry | None:
        """Return an entry before the end of the log, or None when it is void.

        Raises:
            DamagedArtifactError: If it is gone or cannot be read; it is void from now on.
            StoreUnreachableError: If the store does not answer.
        """
        try:
            return self.read(number)
        except FileNotFoundError as error:
            raise self._damaged(number, "is gone although later entries are there") from error

    def void(self, number: int, reason: str) -> None:
        """Let the rows of an entry count as absent, for every run from now on."""
        self._store.create(f"{self._void_prefix}/{number:09d}", reason.encode())
        self.voids.add(number)

    def _damaged(self, number: int, reason: str) -> DamagedArtifactError:
        self.void(number, reason)
        return DamagedArtifactError(
            f"{self.series.key(number)} in the store {self._store.url} {reason}; its rows are set aside: "
            "run again and they are generated anew, all others are kept"
        )
