"""Rows come back from disk as they were, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.artifact import Draft
from tasks.core.errors import DataError
from tasks.core.records import GENERATIONS, PREDICTIONS, PROMPTS, Generation, Prompt, Table, with_logprobs
from tasks.core.tables import TableWriter, read_table, to_arrow, write_table

K = 4
WITH_TOP = with_logprobs(GENERATIONS, K)
SAMPLED_ONLY = with_logprobs(GENERATIONS, 0)


def prompt_row(**changes: Any) -> dict[str, Any]:
    row = Prompt(
        id="1", messages=[{"role": "user", "content": "2+2?"}], text=None, references=["4"], task="MATH", split="train", tags=[]
    )
    return {**row, **changes}


def answer_row(tokens: int, **changes: Any) -> dict[str, Any]:
    """An answer of so many tokens, with numbers in every place."""
    numbers = np.arange(tokens * K)
    row = Generation(
        key=f"{tokens} tokens",
        teacher="teacher",
        answer="4",
        reasoning=None,
        token_ids=list(range(tokens)),
        finish_reason="stop",
        prompt_tokens=3,
        completion_tokens=tokens,
        seed=0,
        token_logprobs=(-numbers[:tokens]).astype(np.float16),
        top_ids=(numbers + (1 << 31)).astype(np.uint32).reshape(-1, K),
        top_logprobs=(-numbers / 8).astype(np.float16).reshape(-1, K),
    )
    return {**row, **changes}


def assert_same_rows(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare rows field by field, arrays with their number types and shapes."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if isinstance(value, np.ndarray):
                assert value.dtype == other[name].dtype
                np.testing.assert_array_equal(value, other[name], strict=True)
            else:
                assert value == other[name]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    tags = [("source", "gsm8k"), ("level", "")]
    rows = [prompt_row(), prompt_row(id="2", messages=[], text="a\nb\u0000ü€", references=[], tags=tags)]
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


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_changed_byte_is_noticed(tmp_path: Path, place: float) -> None:
    file = tmp_path / "t.parquet"
    write_table(file, WITH_TOP, [answer_row(1000)])
    data = bytearray(file.read_bytes())
    with pq.ParquetFile(file) as parquet:
        group = parquet.metadata.row_group(0)
        numbers = group.column(group.num_columns - 1)
    data[numbers.data_page_offset + int(numbers.total_compressed_size * place)] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="not a whole Parquet file"):
        list(read_table(file, WITH_TOP))


def test_log_probabilities_come_back_as_the_arrays_they_were(tmp_path: Path) -> None:
    rows = [answer_row(3), answer_row(0), answer_row(500)]
    write_table(tmp_path / "t.parquet", WITH_TOP, rows)
    assert_same_rows(list(read_table(tmp_path / "t.parquet", WITH_TOP)), rows)


def test_a_row_that_is_kept_does_not_hold_on_to_its_neighbours(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", WITH_TOP, [answer_row(3), answer_row(500)])
    row = next(read_table(tmp_path / "t.parquet", WITH_TOP))
    assert row["top_ids"].base is None
    row["top_logprobs"] += 1


def test_sampled_tokens_alone_have_no_candidates(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", SAMPLED_ONLY, [answer_row(3)])
    (row,) = read_table(tmp_path / "t.parquet", SAMPLED_ONLY)
    assert "top_ids" not in row
    assert row["token_logprobs"].tolist() == [0, -1, -2]


def test_who_needs_no_log_probabilities_leaves_them_out(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", WITH_TOP, [answer_row(3)])
    (row,) = read_table(tmp_path / "t.parquet", GENERATIONS)
    assert row.keys() == set(GENERATIONS.schema.names)
    with pytest.raises(DataError, match="wanted"):
        list(read_table(tmp_path / "t.parquet", with_logprobs(GENERATIONS, K + 1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_logprobs": None}, "no 'token_logprobs'"),
        ({"token_logprobs": [0.0, -1.0]}, "is a list, wanted a numpy array"),
        ({"token_logprobs": np.zeros(2, np.float32)}, r"float32 \[2\], wanted a numpy array of float16 \[tokens\]"),
        ({"top_ids": np.zeros((2, K), np.int64)}, "int64"),
        ({"top_logprobs": np.zeros((2, K + 1), np.float16)}, r"\[2, 5\], wanted a numpy array of float16 \[tokens, 4\]"),
        ({"top_logprobs": np.zeros(2 * K, np.float16)}, r"\[8\], wanted"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_table(tmp_path / "t.parquet", WITH_TOP, [answer_row(2), answer_row(2, **changes)])
    assert not (tmp_path / "t.parquet").exists()


def test_pieces_become_one_file_in_their_order(tmp_path: Path) -> None:
    rows = [answer_row(number) for number in range(20)]
    with TableWriter(tmp_path / "t.parquet", WITH_TOP) as writer:
        for start in range(0, 20, 5):
            writer.write(to_arrow(WITH_TOP, rows[start : start + 5]))
    assert_same_rows(list(read_table(tmp_path / "t.parquet", WITH_TOP)), rows)
    assert pq.read_metadata(tmp_path / "t.parquet").num_row_groups == 1, "small pieces are gathered"


def test_a_file_of_no_pieces_is_an_empty_table(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", PROMPTS):
        pass
    assert list(read_table(tmp_path / "t.parquet", PROMPTS)) == []


def test_large_rows_are_written_and_read_few_at_a_time(tmp_path: Path) -> None:
    row_bytes, count = 4 << 20, 24
    rows = [answer_row(0, token_logprobs=np.zeros(row_bytes // 2, np.float16)) for _ in range(count)]
    data = to_arrow(SAMPLED_ONLY, rows)
    del rows
    with TableWriter(tmp_path / "t.parquet", SAMPLED_ONLY) as writer:
        writer.write(data)
    del data
    metadata = pq.read_metadata(tmp_path / "t.parquet")
    groups = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    assert len(groups) > 1
    assert max(groups) <= 64 << 20
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in read_table(tmp_path / "t.parquet", SAMPLED_ONLY)]
    assert len(held) == count
    assert max(held) < 64 << 20


def fail_half_way(writer: TableWriter) -> None:
    writer.write(to_arrow(PROMPTS, [prompt_row()]))
    raise KeyboardInterrupt


def write_another_schema(writer: TableWriter) -> None:
    writer.write(to_arrow(GENERATIONS, [answer_row(1)]))


def write_a_null(writer: TableWriter) -> None:
    rows = to_arrow(PROMPTS, [prompt_row()])
    writer.write(rows.set_column(0, PROMPTS.schema.field("id"), pa.array([None], pa.string())))


@pytest.mark.parametrize(
    ("write", "error"), [(fail_half_way, KeyboardInterrupt), (write_another_schema, DataError), (write_a_null, DataError)]
)
def test_nothing_is_left_of_a_file_that_failed(
    tmp_path: Path, write: Callable[[TableWriter], None], error: type[BaseException]
) -> None:
    with pytest.raises(error), TableWriter(tmp_path / "t.parquet", PROMPTS) as writer:
        write(writer)
    assert not (tmp_path / "t.parquet").exists()
