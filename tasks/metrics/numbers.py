"""The final value in a solution, and whether two values are equal."""

import re
from fractions import Fraction

from tasks.metrics.answer_line import ANSWER_MARKER, split_at_last
from tasks.metrics.formulas import same_formula

_GSM8K_MARKER = re.compile(r"^[ \t]*####", re.MULTILINE)
_NUMBER = re.compile(
    r"\\[dt]?frac\s*\{\s*-?\d+\s*\}\s*\{\s*\d+\s*\}"
    r"|(?:(?<![\w)\]}.])[-\u2212])?[$€£]?(?:(?<![\w.,])\d{1,3}(?:,\d{3})+(?!\d)|\d+|(?<!\d)(?=\.\d))(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?!\d))?"
    r"(?:\s?/\s?\d+(?!\.?\d))?"
)
# As long as this and no longer: the value of 1e999999999 would fill the memory.
_RATIONAL = re.compile(r"[-+]?(?:\d{1,64}(?:\.\d{0,64})?|\.\d{1,64})(?:[eE][-+]?\d{1,3}|/\d{1,64})?")
_FORMULA = re.compile(r"[\\^_{}()\[\]+*√π]|\b[a-zA-Z]\b")
_PROSE = re.compile(r"(?<![\\{a-zA-Z])[a-zA-Z]{2,}")
_MAX_FORMULA_CHARACTERS = 256
_WORDS = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_UNITS = re.compile(r"(?<=\d)\s*(?:\^\s*\\circ|\^\s*\{\\circ\}|\\(?:text|mathrm)\s*\{[^{}\d]*\}(?:\^\{?[23]\}?)?)$")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECORATION = re.compile(r"\\[,!;: ]|\\left(?![a-z])|\\right(?![a-z])|\\%|\\\$|[$€£%\s]")


def final_answer(text: str) -> str | None:
    """Return the value that a solution ends with.

    It is what stands after the last ``####``, as in GSM8K (Cobbe et al. 2021, arXiv 2110.14168), or in the last ``\\boxed{}``, or
    after the last ``Answer:``; without any of them the last number.

    Returns:
        A number as an integer, a decimal or a fraction without thousands separators and units; or a formula as it stands; None if
        there is no number and nothing is marked.
    """
    marked = _marked(text)
    if marked is None:
        return _last_number(text)
    said = marked.strip().strip("$").removesuffix(".").strip()
    if "=" in said:
        said = said.rpartition("=")[2].strip()
    if (value := as_fraction(said)) is not None:
        return _written(value)
    return said or None if _is_formula(said) else _last_number(said) or said or None


def same_value(gold: str, answer: str) -> bool:
    """Return whether two answers are equal: numbers by their exact value (1/2 is 0.5), words as text, formulas as mathematics."""
    one, other = as_fraction(gold), as_fraction(answer)
    if one is not None and other is not None:
        return one == other
    if _bare(gold).casefold() == _bare(answer).casefold():
        return bool(_bare(gold))
    return _is_formula(gold) and _is_formula(answer) and same_formula(gold, answer)


def _is_formula(text: str) -> bool:
    """Return whether a text can be compared as mathematics; words have two letters in a row outside of LaTeX commands."""
    if len(text) > _MAX_FORMULA_CHARACTERS or _PROSE.search(text):
        return False
    return bool(_FORMULA.search(text)) or as_fraction(text) is not None


def as_fraction(text: str) -> Fraction | None:
    """Return the exact value of an integer, decimal, fraction or LaTeX fraction, with whatever sign of money or per cent."""
    bare = _FRACTION.sub(r"\1\2/\3\4", _bare(_UNITS.sub("", text.strip()))).replace("\u2212", "-").removesuffix(".")
    bare = _THOUSANDS.sub("", bare)
    if not _RATIONAL.fullmatch(bare) or re.search(r"/0+$", bare):
        return None
    return Fraction(bare)


def _marked(text: str) -> str | None:
    for marker in (_GSM8K_MARKER, None, ANSWER_MARKER):
        found = _last_boxed(text) if marker is None else split_at_last(marker, text)
        if found:
            return found if isinstance(found, str) else found[1]
    return None


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


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    value = as_fraction(found[-1]) if found else None
    return None if value is None else _written(value)


def _written(value: Fraction) -> str:
    """Return a value as an integer, as a decimal where that is exact, or as a fraction."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if value.denominator == 1 or rest > 1:
        return str(value)
    digits = max(_exponent(value.denominator, 2), _exponent(value.denominator, 5))
    scaled = str(abs(value.numerator) * 10**digits // value.denominator).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{scaled[:-digits]}.{scaled[-digits:]}"


def _exponent(number: int, prime: int) -> int:
    count = 0
    while number % prime == 0:
        number, count = number // prime, count + 1
    return count


def _bare(text: str) -> str:
    return _DECORATION.sub("", _WORDS.sub(r"\1", text))
