"""Parquet files, a batch in memory at a time."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import DataError
from tasks.sources.row import SourceRow


def read_parquet(source: str, file: BinaryIO) -> Iterator[SourceRow]:
    """Yield one row a record; the line is the record's number, from 1.

    Raises:
        DataError: If the file is torn: nothing of it can be trusted.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            number = 0
            for batch in parquet.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield SourceRow(source, number, values)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"{source} is not a whole Parquet file ({error}); export it again") from error
