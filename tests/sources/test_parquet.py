"""Parquet records become rows with their numbers; a torn file is refused as a whole."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.errors import DataError
from tasks.sources import SourceRow, read_source

ReadBytes = Callable[[str, bytes], list[SourceRow]]


def test_every_record_is_a_row_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    records = [{"id": 1, "messages": [{"role": "user", "content": "ü"}], "label": "a"}, {"id": 2, "messages": [], "label": None}]
    pq.write_table(pa.Table.from_pylist(records), file, row_group_size=1)
    assert list(read_source(str(file))) == [SourceRow(str(file), 1, records[0]), SourceRow(str(file), 2, records[1])]


def test_a_torn_file_is_refused(tmp_path: Path, read_bytes: ReadBytes) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"id": list(range(1000))}), whole)
    content = whole.read_bytes()
    for length in (0, 3, len(content) // 2, len(content) - 1):
        with pytest.raises(DataError, match=r"torn\.parquet is not a whole Parquet file"):
            read_bytes("torn.parquet", content[:length])
