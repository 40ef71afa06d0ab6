"""The ledger's shards: Parquet files of rows, named by their content, written once and never changed."""

import hashlib
import uuid
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import DamagedArtifactError, DataError
from tasks.core.fingerprint import SHORT, file_digest
from tasks.core.records import Generation, Table
from tasks.core.storage import Store, reaching
from tasks.core.tables import write_table


@dataclass(frozen=True)
class Shard:
    """What identifies a shard and its content."""

    key: str
    size_bytes: int
    sha256: str


def upload_shard(store: Store, prefix: str, table: Table, rows: list[Generation]) -> Shard:
    """Write rows as a shard; no reader takes note of it until a log entry names it.

    Args:
        store: The store it goes to.
        prefix: The ledger's folder.
        table: What a row consists of.
        rows: The rows.

    Raises:
        DataError: If a row does not fit the table.
        StoreUnreachableError: If the store does not answer, or a disk is full.
    """
    staged = store.scratch("ledger") / f"{uuid.uuid4().hex}.parquet"
    try:
        with reaching(store.url):
            write_table(staged, table, rows)
        size_bytes, sha256 = staged.stat().st_size, file_digest(staged)
        shard = Shard(f"{prefix}/rows/{sha256[:SHORT]}.parquet", size_bytes, sha256)
        store.upload(staged, shard.key)
    finally:
        staged.unlink(missing_ok=True)
    return shard


def read_shard(store: Store, shard: Shard, table: Table, rows: np.ndarray) -> pa.Table:
    """Return rows of a shard, read from the very bytes that were compared with its SHA-256.

    Args:
        store: The store it is in.
        shard: Which one.
        table: What a row consists of.
        rows: Row numbers in the shard, in the wanted order.

    Raises:
        DamagedArtifactError: If it is gone, or its content is not what was written.
        DataError: If it has another schema than the table.
        StoreUnreachableError: If the store does not answer.
    """
    try:
        content = store.read(shard.key)
    except FileNotFoundError as error:
        raise DamagedArtifactError(f"{shard.key} is gone") from error
    digest = hashlib.sha256(content).hexdigest()
    if (len(content), digest) != (shard.size_bytes, shard.sha256):
        raise DamagedArtifactError(
            f"{shard.key} has {len(content)} bytes with the SHA-256 {digest[:SHORT]}..., "
            f"wanted {shard.size_bytes} with {shard.sha256[:SHORT]}..."
        )
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        if not file.schema_arrow.equals(table.schema):
            raise DataError(
                f"{shard.key} in the store {store.url} has the columns {file.schema_arrow.names}, wanted "
                f"{table.schema.names} of the same types; use the release that wrote it, or another store"
            )
        return file.read().take(rows)
