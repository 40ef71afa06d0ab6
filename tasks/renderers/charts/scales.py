"""Scales: where a value lies in a plot, and which round values are written beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True)
class Scale:
    """Maps values to places in a plot, evenly or by their logarithms."""

    low: float
    high: float
    start: float
    """Place of ``low``, in the plot's units."""
    end: float
    """Place of ``high``."""
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies; what is outside lies on the border."""
        inside = min(max(value, self.low), self.high)
        low, high, at = (log10(each) if self.is_logarithmic else each for each in (self.low, self.high, inside))
        return self.start + (self.end - self.start) * ((at - low) / (high - low) if high > low else 0.5)


def round_values(low: float, high: float, about: int = 5) -> list[float]:
    """Return about so many round values that span a range, after Heckbert ("Nice numbers for graph labels", 1990).

    The first is at or below ``low``, the last at or above ``high``: they are the ends of a scale too.
    """
    if high <= low:
        high = low + (abs(low) or 1.0)
    step = _round((high - low) / max(about - 1, 1))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def round_logarithms(low: float, high: float) -> list[float]:
    """Return the values 1, 2 and 5 times a power of ten that span a range of positive numbers; powers only, over wide ranges."""
    factors = (1, 2, 5) if high / low < 300 else (1,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in factors]
    first = max((value for value in values if value <= low), default=values[0])
    last = min((value for value in values if value >= high), default=values[-1])
    return [value for value in values if first <= value <= last]


def fit(values: Iterable[float], start: float, end: float, *, is_logarithmic: bool = False) -> tuple[Scale, list[float]]:
    """Return a scale that has room for all values, and its round values. An even one begins at 0."""
    found = list(values)
    ticks = round_logarithms(min(found), max(found)) if is_logarithmic else round_values(0.0, max(found))
    return Scale(ticks[0], ticks[-1], start, end, is_logarithmic), ticks


def _round(step: float) -> float:
    power = 10.0 ** floor(log10(step))
    return next(factor for factor in (1, 2, 5, 10) if step <= factor * power * (1 + 1e-9)) * power


Written = Callable[[float], str]
"""How a value is written beside its tick."""
