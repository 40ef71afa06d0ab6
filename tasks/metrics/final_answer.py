"""The final value in a solution: where it stands in the text, and what of that is the value."""

import re

from tasks.metrics.answer_line import ANSWER_MARKER, split_at_last
from tasks.metrics.numbers import as_fraction, is_formula, written

_GSM8K_MARKER = re.compile(r"^[ \t]*####", re.MULTILINE)
_MINUS = r"(?:(?<![\w)\]}.])[-\u2212])?"
_NUMBER = re.compile(
    rf"{_MINUS}(?:\d+\s*)?\\[dt]?frac\s*\{{\s*-?\d+\s*\}}\s*\{{\s*\d+\s*\}}"
    rf"|{_MINUS}(?<![\d.,/])\d+ \d+/\d+(?!\.?\d)"
    rf"|{_MINUS}[$€£]?(?:(?<![\w.,])\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+|(?<!\d)(?=\.\d))(?:\.\d+)?(?:[eE][+-]?\d{{1,3}}(?!\d))?"
    r"(?:\s?/\s?\d+(?!\.?\d))?"
)
_EQUALS = re.compile(r"(?<![<>!])=")
_OPENING = re.compile(r"^(?:\s|\$|\\[(\[])+")


def final_answer(text: str) -> str | None:
    """Return the value that a solution ends with.

    It is what stands after the last ``####``, as in GSM8K (Cobbe et al. 2021, arXiv 2110.14168), or in the last ``\\boxed{}``, or
    after the last ``Answer:``, first of all on that line; without any of them the whole text if it is one value or formula, as
    references of MATH are (Hendrycks et al. 2021, arXiv 2103.03874), else the last number.

    Returns:
        A number as an integer, a decimal or a fraction without thousands separators and units; or a formula as it stands; None if
        there is no number and nothing is marked.
    """
    marked = _marked(text)
    said = _bare(text if marked is None else marked)
    if marked is None:
        is_more = "\n" in said or "\\boxed" in said  # lines of reasoning, or a box that was cut off
        return (None if is_more else _value(said)) or _last_number(text)
    for part in (said.partition("\n")[0], said):
        if found := _value(part) or _last_number(part):
            return found
    return said or None


def _marked(text: str) -> str | None:
    """Return what stands where a text marks its answer; None where it marks none."""
    if after := split_at_last(_GSM8K_MARKER, text):
        return after[1]
    if (boxed := _last_boxed(text)) is not None:
        return " ".join(boxed.split())
    after = split_at_last(ANSWER_MARKER, text)
    return after[1] if after else None


def _last_boxed(text: str) -> str | None:
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start += len("\\boxed{")
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return text[start:place]
    return None


def _value(text: str) -> str | None:
    """Return what a text is equal to, if it is nothing but a number or a formula; None if it is more."""
    said = _bare(_EQUALS.split(text)[-1])
    if (value := as_fraction(said)) is not None:
        return written(value)
    return said if is_formula(said) else None


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    value = as_fraction(found[-1]) if found else None
    return None if value is None else written(value)


def _bare(text: str) -> str:
    """Return a text without white space, a full stop and LaTeX's marks of a formula around it."""
    said = _OPENING.sub("", text)
    while (shorter := said.rstrip().rstrip(".$").removesuffix("\\)").removesuffix("\\]")) != said:
        said = shorter
    return said
