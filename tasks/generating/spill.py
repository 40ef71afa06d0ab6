"""Answers that the store did not take, kept on this machine until it does: they were paid for, and are not asked again.

<scratch of the store>/spill/<namespace>/<random>.parquet   rows, in the ledger's own table
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from tasks.core.errors import DataError
from tasks.core.fingerprint import SHORT
from tasks.core.ledger import Ledger
from tasks.core.progress import stage_logger
from tasks.core.records import Generation, Table
from tasks.core.storage import Store
from tasks.core.tables import read_table, write_table

_WAITING = ".parquet"
_DAMAGED = ".damaged"


class Spill:
    """The rows of one ledger that wait on this machine."""

    def __init__(self, store: Store, namespace: str, table: Table) -> None:
        """Name the folder; nothing is read yet.

        Args:
            store: The store that the rows are meant for; with a local one they wait on the same disk.
            namespace: The ledger's.
            table: What a row consists of.
        """
        self._store, self._table = store, table
        self._name = f"spill/{namespace[:SHORT]}"

    @property
    def folder(self) -> Path:
        """Where rows wait.

        Raises:
            StoreUnreachableError: If the folder cannot be made, as on a disk that is full or gone.
        """
        return self._store.scratch(self._name)

    def keep(self, rows: list[Generation]) -> bool:
        """Write rows to the folder, whole or not at all.

        Returns:
            Whether they are there; False if this machine's disk does not take them either.
        """
        try:
            staged = self.folder / f".{uuid.uuid4().hex}"
            try:
                write_table(staged, self._table, rows)
                with staged.open("rb") as file:
                    os.fsync(file.fileno())
                os.replace(staged, staged.with_name(f"{staged.name[1:]}{_WAITING}"))
            finally:
                staged.unlink(missing_ok=True)
        except OSError:  # a store that does not answer is one too
            return False
        return True

    def commit_to(self, ledger: Ledger) -> int:
        """Commit all rows that wait; those that the ledger has by now are dropped. Files that cannot be read are set aside.

        Returns:
            How many rows are newly in the ledger.

        Raises:
            StoreUnreachableError: If the store still does not answer; the rows go on waiting.
        """
        committed = sum(self._commit_file(path, ledger) for path in sorted(self.folder.glob(f"[!.]*{_WAITING}")))
        if committed:
            stage_logger().info("generations: %d rows that an earlier run could not commit are in the ledger now", committed)
        return committed

    def _commit_file(self, path: Path, ledger: Ledger) -> int:
        try:
            rows = list(self._rows(path))
        except DataError:
            if path.exists():  # else another run on this machine was faster
                path.rename(path.with_suffix(_DAMAGED))
                stage_logger().warning("generations: %s cannot be read; it is set aside, and its rows are asked again", path)
            return 0
        committed = ledger.commit(rows)
        path.unlink(missing_ok=True)
        return committed

    def _rows(self, path: Path) -> Iterator[Generation]:
        return read_table(path, self._table)
