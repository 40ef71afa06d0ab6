"""Where committed rows are: sorted arrays of keys, in memory for the newest and in Parquet segments for all others.

A segment is sorted by key and written in row groups of 65,536 rows with the least and the greatest key of each, so that a
look-up skips the ranges it does not want and holds one row group at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.ledger.keys import KEY, find_keys
from tasks.core.ledger.log import Entry

ROW_GROUP_ROWS = 65_536
_COLUMNS: dict[str, Any] = {"entry": np.int32, "row": np.int32, "completion_tokens": np.int32, "state": np.int8}
_SCHEMA = pa.schema(
    [pa.field("key", pa.binary(KEY.itemsize), nullable=False)]
    + [pa.field(name, pa.from_numpy_dtype(kind), nullable=False) for name, kind in _COLUMNS.items()]
)


@dataclass(frozen=True)
class Located:
    """Where the rows of a look-up are; the arrays are parallel to its keys."""

    entry: np.ndarray
    """int32: number of the log entry, -1 where the ledger has no such row."""

    row: np.ndarray
    """int32: row number in that entry's shard."""

    completion_tokens: np.ndarray
    """int32: tokens of the answer."""

    state: np.ndarray
    """int8: ``FINISHED``, ``CUT`` or ``FAILED``, see ``ledger_log.py``."""

    @property
    def found(self) -> np.ndarray:
        """Return bool: the ledger has the row."""
        return self.entry >= 0

    def only(self, wanted: np.ndarray) -> "Located":
        """Return the same with all other rows absent, so that only wanted ones are read.

        Args:
            wanted: bool, parallel to the keys.
        """
        return Located(np.where(wanted, self.entry, np.int32(-1)), self.row, self.completion_tokens, self.state)


@dataclass(frozen=True)
class Rows(Located):
    """Committed rows, sorted by key; a row of a void entry may stand beside the one that replaced it."""

    keys: np.ndarray
    """S16: the first 16 bytes of each key."""

    @classmethod
    def of_entry(cls, number: int, entry: Entry | None) -> "Rows":
        """Return the rows of a log entry; a void one has none."""
        keys = entry.packed_keys if entry else np.empty(0, KEY)
        columns = {
            "entry": np.full(len(keys), number),
            "row": entry.rows if entry else [],
            "completion_tokens": entry.completion_tokens if entry else [],
            "state": entry.states if entry else [],
        }
        return cls(**{name: np.asarray(columns[name], kind) for name, kind in _COLUMNS.items()}, keys=keys)._sorted()

    @classmethod
    def merged(cls, parts: Iterable["Rows"]) -> "Rows":
        """Return the rows of several parts, older ones first, as one."""
        parts = list(parts)
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*_COLUMNS, "keys")}
        return cls(**columns)._sorted()

    @classmethod
    def of_table(cls, table: pa.Table) -> "Rows":
        """Return the rows of a segment or a part of one."""
        keys = table["key"].combine_chunks()
        start = keys.offset * KEY.itemsize
        packed = np.frombuffer(keys.buffers()[1], np.uint8)[start : start + len(keys) * KEY.itemsize].view(KEY)
        return cls(**{name: table[name].to_numpy() for name in _COLUMNS}, keys=packed)

    def without(self, voids: set[int]) -> "Rows":
        """Return the rows whose entries are not void."""
        kept = ~np.isin(self.entry, list(voids))
        return self._taken(kept)

    def segment(self) -> bytes:
        """Return the rows as a Parquet file."""
        keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY.itemsize), len(self.keys), [None, pa.py_buffer(self.keys)])
        columns = [pa.array(getattr(self, name)) for name in _COLUMNS]
        sink = pa.BufferOutputStream()
        pq.write_table(
            pa.Table.from_arrays([keys, *columns], schema=_SCHEMA),
            sink,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
        )
        return sink.getvalue().to_pybytes()

    def _sorted(self) -> "Rows":
        return self._taken(np.argsort(self.keys, kind="stable"))

    def _taken(self, selection: np.ndarray) -> "Rows":
        return Rows(**{name: getattr(self, name)[selection] for name in (*_COLUMNS, "keys")})


class Search:
    """Keys on their way through the parts of an index."""

    def __init__(self, keys: np.ndarray) -> None:
        self.located = Located(**{name: np.full(len(keys), -1, kind) for name, kind in _COLUMNS.items()})
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def visit(self, rows: Rows, voids: set[int]) -> None:
        """Look among rows for the keys that are not found yet."""
        rows = rows.without(voids) if voids else rows
        if len(rows.keys):
            self._match(rows)
            self._drop_found()

    def visit_segment(self, path: Path, voids: set[int]) -> None:
        """Look in a segment for the keys that are not found yet.

        Raises:
            OSError: If the file cannot be read.
            pa.ArrowException: If it is not a whole segment.
        """
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _require_segment(file)
            for group in range(file.num_row_groups):
                range_ = file.metadata.row_group(group).column(0).statistics
                first, last = np.searchsorted(self._keys, np.array([range_.min, range_.max], KEY))
                if first < len(self._keys) and (first < last or self._keys[first] == range_.max):
                    rows = Rows.of_table(file.read_row_group(group, use_threads=False))
                    self._match(rows.without(voids) if voids else rows)
        self._drop_found()

    def _match(self, rows: Rows) -> None:
        if not len(rows.keys):
            return
        first = np.searchsorted(self._keys, rows.keys[0])
        last = np.searchsorted(self._keys, rows.keys[-1], "right")
        at = find_keys(rows.keys, self._keys[first:last])
        found = at >= 0
        places = self._order[first:last][found]
        for name in _COLUMNS:
            getattr(self.located, name)[places] = getattr(rows, name)[at[found]]

    def _drop_found(self) -> None:
        missing = self.located.entry[self._order] < 0
        self._order, self._keys = self._order[missing], self._keys[missing]


def read_segment(path: Path) -> Rows:
    """Return all rows of a segment.

    Raises:
        OSError: If the file cannot be read.
        pa.ArrowException: If it is not a whole segment.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _require_segment(file)
        return Rows.of_table(file.read())


def _require_segment(file: pq.ParquetFile) -> None:
    if not file.schema_arrow.equals(_SCHEMA):
        raise pa.ArrowInvalid(f"it has the columns {file.schema_arrow.names}, wanted {_SCHEMA.names}")
