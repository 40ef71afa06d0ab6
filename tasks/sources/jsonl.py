"""JSON Lines, read strictly: libraries disagree on broken lines, NaN, deep nesting and byte-order marks; this reader does not."""

import json
import math
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from tasks.sources.row import SourceRow

MAX_LINE_BYTES = 4 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_jsonl(source: str, file: BinaryIO) -> Iterator[SourceRow]:
    """Yield one row a line; empty lines are skipped, a byte-order mark is not an error.

    Problems: over_long_line, broken_utf8, not_json, not_a_number, not_an_object.
    """
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            yield SourceRow(source, number, {}, "over_long_line")
            continue
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.strip():
            yield _parse(source, number, line)


def _parse(source: str, number: int, line: bytes) -> SourceRow:
    try:
        value: Any = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is legal JSON and no text
    except UnicodeError:
        return SourceRow(source, number, {}, "broken_utf8")
    except FloatingPointError:
        return SourceRow(source, number, {}, "not_a_number")
    except (ValueError, RecursionError):
        return SourceRow(source, number, {}, "not_json")
    if not isinstance(value, dict):
        return SourceRow(source, number, {}, "not_an_object")
    return SourceRow(source, number, value)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # 1e999 is legal JSON
        raise FloatingPointError(text)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise FloatingPointError(name)
