"""JSON Lines are read strictly: a line that is no plain object of text and numbers is named, and the next one is read."""

from collections.abc import Callable

import pytest

from tasks.sources import SourceRow
from tasks.sources.jsonl import MAX_LINE_BYTES

ReadBytes = Callable[[str, bytes], list[SourceRow]]


def test_every_line_is_a_row_with_its_number(read_bytes: ReadBytes) -> None:
    rows = read_bytes("rows.jsonl", b'{"a": 1}\r\n\n  \n{"a": "\xc3\xbc"}')
    assert [(row.line, row.values, row.problem) for row in rows] == [(1, {"a": 1}, None), (4, {"a": "ü"}, None)]
    assert rows[0].source.endswith("rows.jsonl")


def test_an_empty_file_has_no_rows(read_bytes: ReadBytes) -> None:
    assert read_bytes("rows.jsonl", b"") == []


def test_a_byte_order_mark_is_accepted_at_the_beginning_only(read_bytes: ReadBytes) -> None:
    first, second = read_bytes("rows.jsonl", b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"a": 1}\n')
    assert (first.values, first.problem) == ({"a": 1}, None)
    assert second.problem == "not_json"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": "\xff"}', "broken_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "broken_utf8"),
        (rb'{"a": "\ud800"}', "broken_utf8"),
        (rb'{"\ud800": 1}', "broken_utf8"),
        (b'{"a": 1', "not_json"),
        (b"\x00\x00\x00", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} {"a": 2}', "not_json"),
        (b'{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}", "not_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
        (b'{"a": NaN}', "not_a_number"),
        (b'{"a": [-Infinity]}', "not_a_number"),
        (b"[1, 2]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', "over_long_line"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES * 3 + b'"}', "over_long_line"),
    ],
)
def test_a_bad_line_is_named_and_the_next_one_is_read(read_bytes: ReadBytes, line: bytes, problem: str) -> None:
    before, bad, after = read_bytes("rows.jsonl", b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    assert (bad.line, bad.values, bad.problem) == (2, {}, problem)
    assert (before.line, before.values, before.problem) == (1, {"a": 1}, None)
    assert (after.line, after.values, after.problem) == (3, {"a": 3}, None)


def test_an_over_long_last_line_ends_the_file(read_bytes: ReadBytes) -> None:
    (row,) = read_bytes("rows.jsonl", b"x" * (MAX_LINE_BYTES + 1))
    assert (row.line, row.problem) == (1, "over_long_line")
