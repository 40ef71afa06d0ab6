"""CSV records become rows of text; a record that does not fit the header is named, and the next one is read."""

from collections.abc import Callable

from tasks.sources import SourceRow

ReadBytes = Callable[[str, bytes], list[SourceRow]]


def test_every_record_is_a_row_of_text(read_bytes: ReadBytes) -> None:
    rows = read_bytes("rows.csv", b'id,text\r\n1,"a, ""b"""\r\n2,\xc3\xbc\r\n')
    assert [(row.line, row.values, row.problem) for row in rows] == [
        (2, {"id": "1", "text": 'a, "b"'}, None),
        (3, {"id": "2", "text": "ü"}, None),
    ]


def test_a_record_over_several_lines_has_the_number_of_its_last(read_bytes: ReadBytes) -> None:
    (row,) = read_bytes("rows.csv", b'id,text\n1,"a\nb"\n')
    assert (row.line, row.values) == (3, {"id": "1", "text": "a\nb"})


def test_a_byte_order_mark_is_no_part_of_the_first_column(read_bytes: ReadBytes) -> None:
    (row,) = read_bytes("rows.csv", b"\xef\xbb\xbfid,text\n1,a\n")
    assert row.values == {"id": "1", "text": "a"}


def test_a_bad_record_is_named_and_the_next_one_is_read(read_bytes: ReadBytes) -> None:
    records = [b"id,text", b"1,a", b"2", b"3,a,b", b"4,\xff", b"5,a"]
    rows = read_bytes("rows.csv", b"\n".join(records))
    assert [(row.line, row.problem) for row in rows] == [
        (2, None),
        (3, "wrong_field_count"),
        (4, "wrong_field_count"),
        (5, "broken_utf8"),
        (6, None),
    ]
    assert rows[-1].values == {"id": "5", "text": "a"}


def test_a_field_beyond_the_limit_is_named_and_the_next_record_is_read(read_bytes: ReadBytes) -> None:
    rows = read_bytes("rows.csv", b"id,text\n1," + b"x" * 200_000 + b"\n2,a\n")
    assert [(row.values, row.problem) for row in rows] == [({}, "not_csv"), ({"id": "2", "text": "a"}, None)]


def test_a_header_alone_or_an_empty_file_has_no_rows(read_bytes: ReadBytes) -> None:
    assert read_bytes("rows.csv", b"id,text\n") == []
    assert read_bytes("rows.csv", b"") == []
