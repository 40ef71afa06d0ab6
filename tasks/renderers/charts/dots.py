"""Dots with intervals: what was measured of each row, for one model or several, and how sure it is (Cleveland 1984)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from tasks.metrics.intervals import Interval
from tasks.renderers.charts.marks import dot, legend
from tasks.renderers.charts.scales import Scale, Written, round_values
from tasks.renderers.charts.svg import drawing, element, line, text
from tasks.renderers.text import shorten

_WIDTH = 460
_LEFT, _RIGHT = 150, 62
_LANE, _GAP = 17, 13
_LONGEST_LABEL = 21


@dataclass(frozen=True)
class DotRow:
    """One row of a plot."""

    label: str
    dots: Sequence[tuple[str, Interval]]
    """What was measured, by the model or another name that ``charts.css`` has colours for; each in a lane of its own."""


class Guide(NamedTuple):
    """A value to compare with, drawn as a line across all rows."""

    value: float
    name: str


def draw_dots(
    title: str, rows: Sequence[DotRow], *, written: Written, ticks: Written, guide: Guide | None = None, has_legend: bool = False
) -> Markup:
    """Return rows of dots over a common axis, which need not begin at 0.

    Args:
        title: What the plot shows.
        rows: The rows, at least one.
        written: How a value is written beside its dot.
        ticks: How the axis' values are written.
        guide: What to compare the dots with.
        has_legend: Whether the marks are explained.
    """
    values = [bound for row in rows for _, interval in row.dots for bound in _ends(interval)] + ([guide.value] if guide else [])
    levels = round_values(min(values), max(values))
    across = Scale(levels[0], levels[-1], _LEFT, _WIDTH - _RIGHT)
    top = (26 if has_legend else 4) + (16 if guide else 0)
    y, drawn = float(top), list[Markup]()
    for row in rows:
        drawn.append(_row(row, y, across, written))
        y += _GAP + _LANE * len(row.dots)
    frame = [
        *(line(across.place(level), top, across.place(level), y, "grid") for level in levels),
        *(text(across.place(level), y + 16, ticks(level), "middle", "soft") for level in levels),
    ]
    if guide:
        place = across.place(guide.value)
        frame += [line(place, top - 4, place, y, "guide"), text(place, top - 9, guide.name, "middle", "soft")]
    if has_legend:
        styles = list(dict.fromkeys(style for row in rows for style, _ in row.dots))
        frame.append(legend(4, 10, [(style, style) for style in styles]))
    return drawing(title, _WIDTH, y + 22, [*frame, *drawn])


def _row(row: DotRow, y: float, across: Scale, written: Written) -> Markup:
    middle = y + (_GAP + _LANE * len(row.dots)) / 2
    parts = [element("g", [element("title", [row.label]), text(4, middle + 4, shorten(row.label, _LONGEST_LABEL))])]
    for lane, (style, interval) in enumerate(row.dots):
        at = y + _GAP / 2 + _LANE * (lane + 0.5)
        if interval.low is not None and interval.high is not None:
            parts.append(line(across.place(interval.low), at, across.place(interval.high), at, f"whisker m-{style}"))
        parts.append(dot(across.place(interval.value), at, style, f"{row.label}, {style}: {written(interval.value)}"))
        parts.append(text(_WIDTH - 4, at + 4, written(interval.value), "end", "soft" if style != "student" else None))
    return element("g", parts)


def _ends(interval: Interval) -> list[float]:
    return [value for value in (interval.low, interval.value, interval.high) if value is not None]
