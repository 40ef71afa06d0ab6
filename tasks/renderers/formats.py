"""How numbers are written in every form of the report."""

from tasks.metrics.intervals import Interval

UNKNOWN = "-"
"""What stands in the place of a figure that nobody can know, such as the memory of an endpoint's model."""


def share(value: float | None) -> str:
    """Return a share as a percentage."""
    return UNKNOWN if value is None else f"{value:.1%}"


def times(value: float | None) -> str:
    """Return a factor."""
    return UNKNOWN if value is None else f"{value:.1f}x"


def money(value: float | None) -> str:
    """Return an amount in the recipe's currency."""
    return UNKNOWN if value is None else f"{value:,.4g}"


def with_interval(interval: Interval) -> str:
    """Return a share with its 95 % interval."""
    if interval.low is None or interval.high is None:
        return share(interval.value)
    return f"{share(interval.value)} ({share(interval.low)} to {share(interval.high)})"


def milliseconds(interval: Interval) -> str:
    """Return a duration in milliseconds, with its 95 % interval."""
    value = f"{1e3 * interval.value:.1f} ms"
    if interval.low is None or interval.high is None:
        return value
    return f"{value} ({1e3 * interval.low:.1f} to {1e3 * interval.high:.1f})"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits its length."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def mebibytes(size_bytes: float | None) -> str:
    """Return a size in MiB."""
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**20:,.0f} MiB"
