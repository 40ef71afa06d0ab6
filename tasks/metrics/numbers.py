"""Values as exact fractions, and whether two answers in numbers, words or formulas are equal."""

import re
from fractions import Fraction

from tasks.metrics.formulas import same_formula

# As long as this and no longer: the value of 1e999999999 would fill the memory.
_RATIONAL = re.compile(r"[-+]?(?:\d{1,64}(?:\.\d{0,64})?|\.\d{1,64})(?:[eE][-+]?\d{1,3}|/\d{1,64})?")
_MIXED = re.compile(r"([-+]?)(\d{1,64}) (\d{1,64}/\d{1,64})")
_BY_ZERO = re.compile(r"/0+$")
# Letters that are unknowns rather than units make a formula of the number before them.
_FORMULA = re.compile(r"[\\^_{}()\[\]+*√π]|\b[a-zA-Z]\b|\d[nxyz]\b|\d\s*[,:]\s*-?\d")
_PROSE = re.compile(r"(?<![\\{a-zA-Z])[a-zA-Z]{2,}")
_MAX_FORMULA_CHARACTERS = 256
_WORDS = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_UNITS = re.compile(r"(?<=\d)\s*(?:\^\s*\\circ|\^\s*\{\\circ\}|\\(?:text|mathrm)\s*\{[^{}\d]*\}(?:\^\{?[23]\}?)?)$")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\}| )(?=\d{3}(?!\d))")
_DECORATION = re.compile(r"\\[,!;: ]|\\left(?![a-z])|\\right(?![a-z])|\\%|\\\$|[$€£%]")
_SPACE_INSIDE = re.compile(r"\s*/\s*|(?<=^[-+])\s+")


def same_value(gold: str, answer: str) -> bool:
    """Return whether two answers are equal: numbers by their exact value (1/2 is 0.5), words as text, formulas as mathematics.

    Of a list of numbers the order does not count: 1, -2 are the roots that -2, 1 are.
    """
    one, other = as_fraction(gold), as_fraction(answer)
    if one is not None and other is not None:
        return one == other
    if _squeezed(gold) == _squeezed(answer):
        return bool(_squeezed(gold))
    ones, others = _listed(gold), _listed(answer)
    if ones and others:
        return ones == others
    return is_formula(gold) and is_formula(answer) and same_formula(gold, answer)


def is_formula(text: str) -> bool:
    """Return whether a text can be compared as mathematics; words have two letters in a row outside of LaTeX commands."""
    if len(text) > _MAX_FORMULA_CHARACTERS or _PROSE.search(text):
        return False
    return bool(_FORMULA.search(text) and re.search(r"\w", text)) or as_fraction(text) is not None


def as_fraction(text: str) -> Fraction | None:
    """Return the exact value of an integer, decimal, fraction, LaTeX fraction or mixed number, such as 2 1/2.

    Whatever sign of money or per cent is with it does not count, and neither do thousands separators. None if it is no number.
    """
    with_slashes = _FRACTION.sub(r" \1\2/\3\4", _UNITS.sub("", text.strip())).replace("\u2212", "-").removesuffix(".")
    plain = " ".join(_undecorated(with_slashes).split())
    bare = _THOUSANDS.sub("", _SPACE_INSIDE.sub(lambda found: found[0].strip(), plain))
    if _BY_ZERO.search(bare):
        return None
    if mixed := _MIXED.fullmatch(bare):
        sign, whole, part = mixed.groups()
        return (Fraction(whole) + Fraction(part)) * (-1 if sign == "-" else 1)
    return Fraction(bare) if _RATIONAL.fullmatch(bare) else None


def written(value: Fraction) -> str:
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


def _listed(text: str) -> list[Fraction]:
    """Return the numbers of a list that no brackets make a point or an interval, in ascending order; none if it is no list."""
    values = [as_fraction(part) for part in text.split(",")]
    return sorted(value for value in values if value is not None) if len(values) > 1 and None not in values else []


def _squeezed(text: str) -> str:
    return "".join(_undecorated(text).casefold().split())


def _undecorated(text: str) -> str:
    return _DECORATION.sub("", _WORDS.sub(r"\1", text))
