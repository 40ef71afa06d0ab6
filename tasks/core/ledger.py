"""The row ledger: teacher answers kept below the artefact level and shared by every run on a store.

A row's key is the SHA-256 of everything that decides its text. Finished rows are committed in shards, each created once and
never changed; a killed run loses at most the shard that was still open, and a later run asks only for the keys that are missing.
A committed row is the truth: bf16 engines do not repeat a row bit for bit when the batch around it changes.
"""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.records import GENERATIONS, Generation
from tasks.core.storage import open_store
from tasks.core.tables import read_table, write_table


def row_key(namespace: str, prompt_token_ids: list[int], sample_index: int) -> str:
    """Return the identity of one answer: who answers how (the namespace), to which exact tokens, which sample of it."""
    return fingerprint([namespace, prompt_token_ids, sample_index])


def row_seed(key: str) -> int:
    """Return a row's sampling seed, derived from its key so that neighbouring rows share no random numbers.

    Returns:
        An integer in ``[0, 2**31)``.
    """
    return int(key[:8], 16) & 0x7FFFFFFF


class Ledger:
    """The rows of one teacher under one set of sampling settings."""

    def __init__(self, store: str, namespace: Any) -> None:
        """Open a part of the ledger.

        Args:
            store: The store's URL.
            namespace: JSON value that identifies the teacher and the sampling settings.
        """
        self.namespace = fingerprint(namespace)
        self._store = open_store(store)
        self._prefix = f"ledger/{self.namespace[:SHORT]}"

    def keys(self) -> set[str]:
        """Return the keys of all committed rows."""
        return {row["key"] for shard in self._shards() for row in read_table(shard, GENERATIONS, columns=["key"])}

    def read(self, wanted: set[str]) -> Iterator[Generation]:
        """Yield the committed rows among the wanted keys, each key once, in the order of the shards' names."""
        missing = set(wanted)
        for shard in self._shards():
            for row in read_table(shard, GENERATIONS):
                if row["key"] in missing:  # two runs at once may both have committed it: the first is the truth
                    missing.remove(row["key"])
                    yield Generation(**row)

    def commit(self, rows: list[Generation]) -> None:
        """Commit finished rows as one shard, named by the keys in it; the same shard twice is one shard."""
        keys = "".join(sorted(row["key"] for row in rows))
        name = f"{hashlib.sha256(keys.encode()).hexdigest()[:SHORT]}.parquet"
        staged = self._store.scratch("ledger") / f"{uuid.uuid4().hex[:8]}-{name}"
        try:
            write_table(staged, GENERATIONS, rows)
            self._store.create(f"{self._prefix}/{name}", staged.read_bytes())
        finally:
            staged.unlink(missing_ok=True)

    def _shards(self) -> Iterator[Path]:
        for key in self._store.keys(self._prefix):
            yield self._store.local_path(key)
