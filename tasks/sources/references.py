"""The accepted answers that a row's field holds: one, or a list of them."""

import re
from decimal import Decimal
from math import isfinite
from typing import Any

_PRINTED_LIST = re.compile(r"\[(?:'.*|\".*')\]", re.DOTALL)


def read_references(value: Any) -> list[str] | str:
    """Return the texts of a reference field, or the reason why it has none that can be read.

    Args:
        value: What the field holds: a text, a number, a list of them, or None.

    Returns:
        The accepted answers in their order, each once; blank ones are none. Or ``not_a_number``, or ``bad_reference`` for what
        is neither text nor number: it has no one way to be written.
    """
    given = value if isinstance(value, list) else [value]
    texts: dict[str, None] = {}
    for item in given:
        if item is None:
            continue
        if isinstance(item, bool) or not isinstance(item, str | int | float | Decimal):
            return "bad_reference"
        if isinstance(item, float | Decimal) and not isfinite(item):
            return "not_a_number"
        if text := (item.strip() if isinstance(item, str) else written_number(item)):
            texts[text] = None
    return list(texts)


def is_printed_list(text: Any) -> bool:
    """Return whether a field is a list of texts as Python prints it, which lists become when a table is saved as CSV."""
    return isinstance(text, str) and _PRINTED_LIST.fullmatch(text.strip()) is not None


def written_number(number: float | Decimal) -> str:
    """Return the shortest text of a number: 72 of 72.0, 1.5 of the decimal 1.50."""
    if isinstance(number, Decimal):
        return f"{number.normalize():f}"
    return str(int(number)) if number == int(number) and abs(number) < 1e16 else str(number)
