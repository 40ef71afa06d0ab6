"""CSV with a header line, in UTF-8."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from tasks.core.errors import DataError
from tasks.sources.row import SourceRow

_EXTRA = "\0extra"


def read_csv(source: str, file: BinaryIO) -> Iterator[SourceRow]:
    """Yield one row a record; the line is the one the record ends on.

    Problems: broken_utf8, wrong_field_count, not_csv.

    Raises:
        DataError: If a quote is never closed: no row after it can be told.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.DictReader(text, restkey=_EXTRA, strict=True)
    while True:
        try:
            values = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            if "unexpected end of data" in str(error):  # everything after the stray quote was taken for one field
                raise DataError(f"{source} ends inside a quoted field; close the quote that was opened last") from error
            yield SourceRow(source, rows.line_num + 1, {}, "not_csv")  # a stray quote, or a field beyond the module's limit
            continue
        yield _checked(source, rows.line_num, values)
    text.detach()  # the caller closes the file


def _checked(source: str, line: int, values: dict[str, str]) -> SourceRow:
    if _EXTRA in values or None in values.values():
        return SourceRow(source, line, {}, "wrong_field_count")
    try:
        "".join(values.values()).encode()
    except UnicodeEncodeError:  # surrogateescape keeps undecodable bytes as lone surrogates
        return SourceRow(source, line, {}, "broken_utf8")
    return SourceRow(source, line, values)
