"""Writing and reading rows: Parquet with zstd, the schema checked both ways, a bounded number of bytes in memory."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.array_columns import is_array_column, parquet_path, rows_of, to_column
from tasks.core.artifact import Artifact, open_file
from tasks.core.errors import DataError
from tasks.core.records import Table

_GROUP_BYTES = 64 << 20  # of a row group in memory: large enough to compress well, small enough to read on a small machine
_BATCH_BYTES = 16 << 20  # of rows read at once; as Python objects, token ids take nine times the bytes that they take on disk
_BATCH_ROWS = 4096  # repeated texts take next to no bytes on disk
_ZSTD_LEVEL = 3


def to_arrow(table: Table, rows: Iterable[Any]) -> pa.Table:
    """Return rows as an Arrow table of exactly the schema of their kind.

    Args:
        table: The kind of rows.
        rows: Dictionaries with the table's fields; log-probabilities are numpy arrays, maps are lists of pairs.

    Raises:
        DataError: If a row does not fit the schema.
    """
    listed = list(rows)
    plain = pa.schema([field for field in table.schema if not is_array_column(field)])
    try:
        data = pa.Table.from_pylist(listed, schema=plain)
        data.validate(full=True)
        for place, field in enumerate(table.schema):
            if is_array_column(field):
                data = data.add_column(place, field, to_column(field, (row.get(field.name) for row in listed)))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"rows for {table.file} do not fit their schema: {error}") from error
    _refuse_nulls(data, table)
    return data


def write_table(path: Path, table: Table, rows: Iterable[Any]) -> None:
    """Write rows as a Parquet file.

    Args:
        path: The local file to write; its folder exists.
        table: The kind of rows.
        rows: Dictionaries with the table's fields, as ``to_arrow`` takes them.

    Raises:
        DataError: If a row does not fit the schema; nothing is written.
    """
    data = to_arrow(table, rows)
    with TableWriter(path, table) as writer:
        writer.write(data)


class TableWriter:
    """A Parquet file that is written piece by piece, as a context manager; after an exception, nothing is left of the file.

    Pieces are gathered into row groups of about 64 MiB in memory, so that small pieces do not make small groups.
    """

    def __init__(self, path: Path, table: Table) -> None:
        """Begin a file.

        Args:
            path: The local file to write; its folder exists.
            table: The kind of rows.
        """
        self._path, self._table = path, table
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        # Split into byte planes, 64 candidates need a seventh fewer bytes and a third of the time. Dictionaries must be off for
        # these columns, and one switch is for all of them: zstd finds the repeated texts of the others as well.
        planes = {parquet_path(field): "BYTE_STREAM_SPLIT" for field in table.schema if is_array_column(field)}
        self._writer = pq.ParquetWriter(
            path,
            table.schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            write_page_checksum=True,
            use_dictionary=not planes,
            column_encoding=planes or None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = False
        try:
            if kind is None:
                self._write_group()
            self._writer.close()
            whole = kind is None
        finally:
            if not whole:
                self._path.unlink(missing_ok=True)

    def write(self, rows: pa.Table) -> None:
        """Add rows to the file.

        Args:
            rows: A table of exactly the file's schema, such as ``to_arrow`` returns.

        Raises:
            DataError: If it has another schema, or a null in a column that has none.
        """
        if not rows.schema.equals(self._table.schema):
            wanted = f"wanted {self._table.schema.names} of the types of their kind; make them with to_arrow"
            raise DataError(f"rows for {self._path.name} have the columns {rows.schema.names}, {wanted}")
        _refuse_nulls(rows, self._table)
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if not self._waiting:
            return
        data = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        row_bytes = max(data.nbytes / max(data.num_rows, 1), 1)
        self._writer.write_table(data, row_group_size=max(int(_GROUP_BYTES / row_bytes), 1))


def read_table(source: Artifact | Path, table: Table, columns: list[str] | None = None) -> Iterator[Any]:
    """Yield the rows of a table.

    Args:
        source: The artefact that has the table, or a local file of such rows. It may have more columns than the table, which
            are not read: who needs no log-probabilities asks for a table without them.
        table: The kind of rows.
        columns: Only these fields; all of the table's by default.

    Raises:
        DataError: If the file is torn or lacks a column of the table.
    """
    path = open_file(source, table.file) if isinstance(source, Artifact) else source
    with _refuse_torn(path):
        for batch in read_batches(path, table, columns):
            yield from _rows(batch)


def read_batches(
    source: Artifact | Path, table: Table, columns: list[str] | None = None, rows: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table as Arrow batches of at most about 16 MiB.

    Args:
        source: As for ``read_table``.
        table: The kind of rows.
        columns: Only these fields; all of the table's by default.
        rows: Only these rows, a range of step 1; all by default. Row groups without any of them are not read.

    Raises:
        DataError: If the file is torn or lacks a column of the table.
    """
    path = open_file(source, table.file) if isinstance(source, Artifact) else source
    with _refuse_torn(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        found, wanted = file.schema_arrow, table.schema
        if not all(found.get_field_index(field.name) >= 0 and found.field(field.name).equals(field) for field in wanted):
            raise DataError(f"{path} has the columns {found.names}, wanted {wanted.names} of the same types; make it anew")
        names = wanted.names if columns is None else columns
        if rows is None:
            yield from file.iter_batches(_batch_rows(file.metadata), columns=names)
        else:
            yield from _batches_of_rows(file, names, rows)


def _batches_of_rows(file: pq.ParquetFile, columns: list[str], rows: range) -> Iterator[pa.RecordBatch]:
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    starts = [0, *accumulate(sizes)]
    groups = [number for number, start in enumerate(starts[:-1]) if start < rows.stop and starts[number + 1] > rows.start]
    if not groups:
        return
    start = starts[groups[0]]
    for batch in file.iter_batches(_batch_rows(file.metadata), row_groups=groups, columns=columns):
        first, last = max(rows.start - start, 0), min(rows.stop - start, len(batch))
        if first < last:
            yield batch.slice(first, last - first)
        start += len(batch)


@contextmanager
def _refuse_torn(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({error}); delete it and run again") from error


def _refuse_nulls(data: pa.Table, table: Table) -> None:
    for field in table.schema:
        if not field.nullable and data[field.name].null_count:
            raise DataError(f"a row for {table.file} has no {field.name!r}; every row needs one")


def _batch_rows(metadata: Any) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    row_bytes = max([group.total_byte_size / max(group.num_rows, 1) for group in groups], default=1)
    return max(min(_BATCH_ROWS, int(_BATCH_BYTES / max(row_bytes, 1))), 1)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    names, columns = batch.schema.names, zip(batch.schema, batch.columns, strict=True)
    values = [rows_of(column) if is_array_column(field) else column.to_pylist() for field, column in columns]
    for row in zip(*values, strict=True):
        yield dict(zip(names, row, strict=True))
