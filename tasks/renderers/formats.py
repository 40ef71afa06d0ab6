"""How numbers are written in every form of the report."""

from tasks.metrics.intervals import Interval


def share(value: float) -> str:
    """Return a share as a percentage."""
    return f"{value:.1%}"


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


def mebibytes(size_bytes: float) -> str:
    """Return a size in MiB."""
    return f"{size_bytes / 2**20:,.0f} MiB"
