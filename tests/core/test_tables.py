"""Rows come back from disk as they were, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from tasks.core.artifact import Draft
from tasks.core.errors import DataError
from tasks.core.records import GENERATIONS, PREDICTIONS, PROMPTS, Prompt, Table
from tasks.core.tables import read_table, write_table


def prompt_row(**changes: Any) -> dict[str, Any]:
    row = Prompt(id="1", messages=[{"role": "user", "content": "2+2?"}], text=None, reference="4", task="MATH", split="train")
    return {**row, **changes}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [prompt_row(), prompt_row(id="2", messages=[], text="a\nb\u0000ü€", reference=None)]
    write_table(tmp_path / "t.parquet", PROMPTS, rows)
    assert list(read_table(tmp_path / "t.parquet", PROMPTS)) == rows


def test_a_table_may_be_empty(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", PROMPTS, [])
    assert list(read_table(tmp_path / "t.parquet", PROMPTS)) == []


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", PROMPTS, [prompt_row()])
    assert list(read_table(tmp_path / "t.parquet", PROMPTS, columns=["id", "split"])) == [{"id": "1", "split": "train"}]


def test_a_table_is_read_from_an_artefact(tmp_path: Path) -> None:
    draft = Draft(str(tmp_path), "prompts", "0" * 64, version=1, settings={}, inputs={})
    write_table(draft.path / PROMPTS.file, PROMPTS, [prompt_row()])
    assert list(read_table(draft.publish(), PROMPTS)) == [prompt_row()]


@pytest.mark.parametrize("field", ["id", "messages", "task", "split"])
def test_a_required_field_that_is_null_or_missing_is_refused(tmp_path: Path, field: str) -> None:
    absent = {name: value for name, value in prompt_row().items() if name != field}
    for row in (prompt_row(**{field: None}), absent):
        with pytest.raises(DataError, match=f"no '{field}'"):
            write_table(tmp_path / "t.parquet", PROMPTS, [prompt_row(), row])
    assert not (tmp_path / "t.parquet").exists()


def test_a_value_of_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="schema"):
        write_table(tmp_path / "t.parquet", PROMPTS, [prompt_row(id=7)])


@pytest.mark.parametrize("other", [PREDICTIONS, GENERATIONS])
def test_a_table_of_another_kind_is_refused(tmp_path: Path, other: Table) -> None:
    write_table(tmp_path / "t.parquet", PROMPTS, [prompt_row()])
    with pytest.raises(DataError, match="wanted"):
        list(read_table(tmp_path / "t.parquet", other))


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_torn_file_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "t.parquet"
    write_table(file, PROMPTS, [prompt_row(id=str(number)) for number in range(100)])
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        list(read_table(file, PROMPTS))
