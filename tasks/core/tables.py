"""Writing and reading rows: Parquet with zstd, the schema checked both ways, a bounded batch in memory when reading."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.artifact import Artifact, open_file
from tasks.core.errors import DataError
from tasks.core.records import Table


def write_table(path: Path, table: Table, rows: Iterable[Any]) -> None:
    """Write rows as a Parquet file.

    Args:
        path: The local file to write; its folder exists.
        table: The kind of rows.
        rows: Dictionaries with the table's fields.

    Raises:
        DataError: If a row does not fit the schema.
    """
    try:
        data = pa.Table.from_pylist(list(rows), schema=table.schema)
        data.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"rows for {path.name} do not fit their schema: {error}") from error
    for field in table.schema:
        if not field.nullable and data[field.name].null_count:
            raise DataError(f"a row for {path.name} has no {field.name!r}; every row needs one")
    pq.write_table(data, path, compression="zstd", write_page_checksum=True)


def read_table(source: Artifact | Path, table: Table, columns: list[str] | None = None) -> Iterator[Any]:
    """Yield the rows of a table.

    Args:
        source: The artefact that has the table, or a local file that ``write_table`` wrote.
        table: The kind of rows.
        columns: Only these fields; all by default.

    Raises:
        DataError: If the file is torn or has another schema.
    """
    path = open_file(source, table.file) if isinstance(source, Artifact) else source
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(table.schema):
                raise DataError(f"{path} has the columns {file.schema_arrow.names}, wanted {table.schema.names}; make it anew")
            for batch in file.iter_batches(columns=columns):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({error}); delete it and run again") from error
