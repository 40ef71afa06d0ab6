"""How numbers are written in every form of the report: always with their unit."""

from tasks.metrics.intervals import Interval
from tasks.renderers.charts.scales import Written

UNKNOWN = "-"
"""What stands in the place of a figure that nobody can know, such as the memory of an endpoint's model."""

_FIGURES = "+-0123456789.,"
_LARGEST_SHARE = 1.5
"""Scores are shares; what is above is one of the few that are not, such as a perplexity."""


def share(value: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:.1f} %".replace("-0.0 %", "0.0 %")


def whole_share(value: float) -> str:
    """Return a share as a percentage without decimals, for axes and round figures."""
    return f"{100 * value:.0f} %"


def points(value: float) -> str:
    """Return a difference of two shares, in percentage points."""
    return f"{100 * value:+.1f} points"


def score(value: float) -> str:
    """Return a metric's value: a share as a percentage, anything else as it is."""
    return share(value) if abs(value) <= _LARGEST_SHARE else f"{value:,.4g}"


def times(value: float) -> str:
    """Return a factor."""
    return f"{value:.1f}x"


def whole_times(value: float) -> str:
    """Return a factor without decimals, for round figures."""
    return f"{value:.0f}x"


def money(value: float) -> str:
    """Return an amount in the recipe's currency."""
    if abs(value) >= 1:
        return f"{value:,.2f}"
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def count(value: float) -> str:
    """Return a number of things."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """Return how many there are a second."""
    return f"{value:,.0f} /s" if value >= 100 else f"{value:.3g} /s"


def latency(seconds: float) -> str:
    """Return the time that somebody waits for an answer."""
    return f"{1e3 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits its length."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(size_bytes: float) -> str:
    """Return a size in the unit that suits it."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= 10 * factor or (size_bytes >= factor and unit != "GiB"):
            return f"{size_bytes / factor:,.1f} {unit}" if size_bytes < 100 * factor else f"{size_bytes / factor:,.0f} {unit}"
    return f"{size_bytes:.0f} B"


def nats(value: float) -> str:
    """Return a loss, per token."""
    return f"{value:.3f} nats"


def perplexity(value: float) -> str:
    """Return among how many tokens, all as likely, a model was left to choose."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e7 else f"{value:.1e}"


def joules(value: float) -> str:
    """Return an energy."""
    return f"{value:,.3g} J"


def probability(value: float) -> str:
    """Return the probability of a test."""
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def bounds(interval: Interval, form: Written) -> str:
    """Return the bounds of an interval, with their unit once if it is the same; nothing where they cannot be told."""
    if interval.low is None or interval.high is None:
        return ""
    low, high = form(interval.low), form(interval.high)
    unit = low.lstrip(_FIGURES)
    return f"{low.removesuffix(unit) if high.lstrip(_FIGURES) == unit else low} to {high}"


def words(name: str) -> str:
    """Return a name of a setting or figure as words."""
    return name.replace("_", " ")
