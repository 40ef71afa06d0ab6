"""The row ledger: teacher answers kept below the artefact level and shared by every run on a store.

A row's key is the SHA-256 of everything that decides its text. Finished rows are uploaded in shards that nobody sees until an
entry of a create-only log names them: a killed run leaves exactly the rows it committed, and a row is in the log once however
many runs commit it. A committed row is the truth: bf16 engines do not repeat a row bit for bit when the batch around it changes.

    ledger/<namespace>/rows/<digest>.parquet     shards
    ledger/<namespace>/log/000000/00.json        which rows of which shard count
    ledger/<namespace>/index/1/000000/00.parquet where each key is, for 64 log entries; index/2 for 64 * 64
    ledger/<namespace>/void/000000000            log entries whose shard was found damaged
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DamagedArtifactError, StoreUnreachableError
from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.ledger.index import Located
from tasks.core.ledger.keys import MissingKeys, pack_keys
from tasks.core.ledger.log import Entry, state_of
from tasks.core.ledger.shard import Shard, read_shard, upload_shard
from tasks.core.ledger.view import View
from tasks.core.records import Generation, Table
from tasks.core.storage import open_store

_IDLE_ATTEMPTS = 20
_IDLE_SECONDS = 0.1


class Ledger:
    """The rows of one teacher under one set of sampling settings.

    One thread may commit while another looks up or reads ``taken``.
    """

    def __init__(self, store: str, namespace: Any, table: Table) -> None:
        """Name a part of the ledger; nothing is read yet.

        Args:
            store: The store's URL.
            namespace: JSON value that identifies the teacher and the sampling settings.
            table: What a row consists of.
        """
        self.namespace = fingerprint(namespace)
        self.taken: set[str] = set()
        """Keys that other runs were seen to commit since this one looked them up and did not find them."""
        self._table = table
        self._store = open_store(store)
        self._prefix = f"ledger/{self.namespace[:SHORT]}"
        self._view = View(self._store, self._prefix)
        self._missing = MissingKeys()
        self._writer = uuid.uuid4().hex
        self._lock = Lock()
        self._opened = False
        self._create_only = False

    def look_up(self, keys: Sequence[str]) -> Located:
        """Find rows, among all that any run has committed until now.

        Args:
            keys: Their keys, in any order.

        Returns:
            Where they are, in the order of the keys.

        Raises:
            DamagedArtifactError: If a part of the log or the index is damaged; the next run repairs it.
            StoreUnreachableError: If the store does not answer.
        """
        with self._lock:
            located = self._look_up(pack_keys(keys))
            if self.taken:
                self.taken.difference_update(keys)
            return located

    def commit(self, rows: list[Generation]) -> int:
        """Commit rows as one shard, but for those that the ledger has already.

        Returns:
            How many rows are newly in the ledger by this call.

        Raises:
            DataError: If a row does not fit the ledger's table, or its finish reason is not known.
            DamagedArtifactError: If a part of the log or the index is damaged; nothing was committed.
            SettingsError: If the store does not honour create-only writes.
            StoreUnreachableError: If the store does not answer; the rows may or may not be in the ledger.
        """
        with self._lock:
            if not self._create_only:
                self._store.require_create_only()
                self._create_only = True
            first: dict[str, Generation] = {}
            for row in rows:
                first.setdefault(row["key"], row)
            rows, keys = list(first.values()), pack_keys(list(first))
            unknown = ~self._missing.known(keys)
            if unknown.any():
                self._look_up(keys[unknown])
            return self._append(rows, keys) if self._missing.among(keys).any() else 0

    def read(self, located: Located) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """Read the rows that a look-up found, one shard in memory at a time.

        Args:
            located: What ``look_up`` returned.

        Yields:
            For each shard, in the order of the log: positions in the look-up, int64, and their rows in the same order.

        Raises:
            DamagedArtifactError: After the last whole shard, if others are gone or damaged; their rows count as absent from
                now on.
            DataError: If a shard has another schema than the ledger's table.
            StoreUnreachableError: If the store does not answer.
        """
        found = np.flatnonzero(located.found)
        order = found[np.lexsort((located.row[found], located.entry[found]))]
        damaged, lost = [], 0
        for positions in np.split(order, np.flatnonzero(np.diff(located.entry[order])) + 1):
            if not len(positions):  # nothing was found at all
                return
            number = int(located.entry[positions[0]])
            try:
                rows = self._read_rows(number, located.row[positions])
            except (DamagedArtifactError, pa.ArrowException) as error:
                self._view.log.void(number, str(error))
                damaged.append(str(error))
                lost += len(positions)
                continue
            yield positions, rows
        if damaged:
            raise DamagedArtifactError(
                f"{len(damaged)} shards of the row ledger in {self._store.url} are gone or damaged, the first: {damaged[0]}; "
                f"the {lost} rows that were wanted from them are set aside: run again and they are generated anew, "
                "all others are kept"
            )

    def _look_up(self, keys: np.ndarray) -> Located:
        if not self._opened:
            self._view.open()
            self._opened = True
        self._view.log.refresh_voids()
        for number in self._view.unseen():
            self._see(self._view.log.read_known(number))
        located = self._view.search(keys)
        self._missing.record(keys, ~located.found)
        return located

    def _see(self, entry: Entry | None) -> int:
        """Take in the next log entry; return how many rows it has if it is an own one."""
        own = 0
        if entry is not None:
            struck = self._missing.strike(entry.packed_keys)  # before anything that can fail: it must not be committed again
            if entry.writer == self._writer:
                own = len(entry.keys)
            else:
                self.taken.update(entry.keys[place] for place in np.flatnonzero(struck))
        self._view.see(entry)
        return own

    def _append(self, rows: list[Generation], keys: np.ndarray) -> int:
        """Upload a shard and log those of its rows that nobody else logs before."""
        states = [state_of(row) for row in rows]
        # A shard without an entry stays where it is: another run may be about to name the same content.
        shard = upload_shard(self._store, self._prefix, self._table, rows)
        committed = idle = 0
        while (missing := self._missing.among(keys)).any():
            places = np.flatnonzero(missing).tolist()
            entry = Entry(
                writer=self._writer,
                shard=shard.key,
                size_bytes=shard.size_bytes,
                sha256=shard.sha256,
                keys=[rows[place]["key"] for place in places],
                rows=places,
                completion_tokens=[rows[place]["completion_tokens"] for place in places],
                states=[states[place] for place in places],
            )
            number = self._view.next
            if self._view.log.create(number, entry):
                return committed + self._see(entry)
            committed += self._catch_up()
            idle = idle + 1 if self._view.next == number else 0
            if idle:
                self._wait_for_entry(idle)
        return committed

    def _catch_up(self) -> int:
        """Take in the entries that others made meanwhile; return how many rows are of own ones whose answer was lost."""
        own = 0
        while True:
            try:
                entry = self._view.log.read(self._view.next)
            except FileNotFoundError:
                return own
            own += self._see(entry)

    def _wait_for_entry(self, times: int) -> None:
        """Wait for an entry that is taken and not there: some S3 servers say so of two writes at the very same time."""
        if times > _IDLE_ATTEMPTS:
            raise StoreUnreachableError(
                f"the store {self._store.url} says that entry {self._view.next} of the row ledger is taken, and has none; "
                "check that what is written to it can be read, then run again: committed rows are kept"
            )
        time.sleep(_IDLE_SECONDS)

    def _read_rows(self, number: int, rows: np.ndarray) -> pa.Table:
        entry = self._view.log.read_known(number)
        if entry is None:
            raise DamagedArtifactError(f"log entry {number} is void")
        return read_shard(self._store, Shard(entry.shard, entry.size_bytes, entry.sha256), self._table, rows)
