"""Candidate pairs beyond one machine: DuckDB finds them in hash partitions of the bands' keys, out of Parquet files in the store.

Rows of one key of one band are always in one partition, so that partitions need nothing of each other and any worker takes any of
them, as a flow run on a pool. DuckDB and not Ray or Dask: the step is one window over sorted rows, which it does in a set amount
of memory, spilling to disk, inside a process that is there already; the others want a cluster to be run, and would schedule work
beside Prefect, which does that here. The pairs are those of ``pairs_here``, whatever the number of partitions.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.storage import Store
from tasks.filters.near_duplicates.candidates import NEIGHBOURS
from tasks.filters.near_duplicates.signatures import BANDS

_MEMORY = "1GB"
_PAIRS = pa.schema([("left", pa.int32()), ("right", pa.int32())])
_FIND_PAIRS = """
    WITH bands AS (SELECT filename, key, row, row_key FROM read_parquet($files, filename = true)),
    neighbours AS (
        SELECT row AS "left", unnest(list(row) OVER bucket) AS "right" FROM bands
        WINDOW bucket AS (
            PARTITION BY filename, key ORDER BY row_key ROWS BETWEEN 1 FOLLOWING AND $neighbours FOLLOWING
        )
    )
    SELECT DISTINCT "left", "right" FROM neighbours ORDER BY ALL
"""


class PartitionedPairs:
    """Finds candidate pairs in partitions that others work on."""

    def __init__(self, store: Store, folder: str, partitions: int, work: Callable[[Sequence[int]], None]) -> None:
        """Say where partitions lie and who works on them.

        Args:
            store: Where the partitions' files go.
            folder: Key of a folder for them that nobody else uses; the files stay, for who begins again to find them.
            partitions: How many.
            work: Has ``pair_partition`` called for every one of the given partitions, anywhere, and returns once all are done.
        """
        self._store, self._folder, self._partitions, self._work = store, folder, partitions, work

    def __call__(self, bands: np.ndarray, keys: np.ndarray) -> Iterator[np.ndarray]:
        """Yield candidate pairs, as ``pairs_here`` does."""
        for band in range(BANDS):
            owners = bands[band] % np.uint64(self._partitions)
            for partition in range(self._partitions):
                rows = np.flatnonzero(owners == partition)
                table = pa.table({"key": bands[band][rows], "row": rows.astype(np.int32), "row_key": keys[rows]})
                sink = pa.BufferOutputStream()
                pq.write_table(table, sink, compression="zstd")
                self._store.write(f"{_place(self._folder, partition)}-band-{band:02d}.parquet", sink.getvalue().to_pybytes())
        self._work(range(self._partitions))
        for partition in range(self._partitions):
            key = _pairs_key(self._folder, partition)
            pairs = pq.read_table(self._store.local_path(key), schema=_PAIRS)
            yield np.stack([pairs["left"].to_numpy(), pairs["right"].to_numpy()], axis=1)


def pair_partition(store: Store, folder: str, partition: int) -> None:
    """Find the candidate pairs of one partition and leave them in the store.

    Args:
        store: Where the partition's files are.
        folder: Key of the folder of all partitions.
        partition: Its number, from 0.
    """
    import duckdb

    place = _place(folder, partition)
    files = [str(store.local_path(f"{place}-band-{band:02d}.parquet")) for band in range(BANDS)]
    with tempfile.TemporaryDirectory(dir=store.scratch("near_duplicates")) as scratch:
        found = Path(scratch) / "pairs.parquet"
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "temp_directory": f"{scratch}/spill",
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=settings) as connection:
            pairs = connection.sql(_FIND_PAIRS, params={"files": files, "neighbours": NEIGHBOURS})
            pairs.write_parquet(str(found), compression="zstd")
        store.upload(found, _pairs_key(folder, partition))


def _place(folder: str, partition: int) -> str:
    return f"{folder}/{partition:04d}"


def _pairs_key(folder: str, partition: int) -> str:
    return f"{_place(folder, partition)}-pairs.parquet"
