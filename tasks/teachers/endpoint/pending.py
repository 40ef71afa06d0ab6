"""Batches that were submitted and not yet committed, written down in the store: after a kill the next run finds them again."""

import json
from dataclasses import asdict, dataclass

from tasks.core.fingerprint import SHORT
from tasks.core.storage import Store


@dataclass(frozen=True)
class PendingBatch:
    """A batch at the endpoint."""

    batch_id: str
    path: str
    """What its rows ask: ``CHAT`` or ``TEXT``."""
    keys: list[str]
    """Keys of its rows."""


class PendingBatches:
    """The batches of one teacher under one set of sampling settings."""

    def __init__(self, store: Store, namespace: str) -> None:
        """Open the list.

        Args:
            store: Where it is kept.
            namespace: Fingerprint of the teacher and the sampling settings, as the ledger's.
        """
        self._store, self._prefix = store, f"batches/{namespace[:SHORT]}"

    def add(self, batch: PendingBatch) -> None:
        """Write down a batch, right after it was created, or with fewer rows."""
        self._store.write(self._key(batch), json.dumps(asdict(batch)).encode())

    def read(self) -> list[PendingBatch]:
        """Return all batches that are written down."""
        return [PendingBatch(**json.loads(self._store.read(key))) for key in self._store.keys(self._prefix)]

    def remove(self, batch: PendingBatch) -> None:
        """Forget a batch."""
        self._store.delete(self._key(batch))

    def _key(self, batch: PendingBatch) -> str:
        return f"{self._prefix}/{batch.batch_id}.json"
