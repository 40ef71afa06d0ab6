"""Bars of what goes on and what falls out, one below the other: a funnel."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from tasks.renderers.charts.svg import drawing, element, text
from tasks.renderers.text import shorten

_WIDTH, _LEFT, _RIGHT = 460, 150, 62
_ROW, _BAR = 24, 14
_LONGEST_LABEL = 21
_THINNEST = 1.5
"""Width of what is too little to be seen at scale."""


class Bar(NamedTuple):
    """One step of a funnel."""

    label: str
    total: int
    """What came to the step."""
    taken: int
    """What of it fell out, or was marked only."""
    is_marked_only: bool = False


def draw_funnel(title: str, bars: Sequence[Bar]) -> Markup:
    """Return the bars; what was taken stands at the right end of each, and in figures beside it.

    Args:
        title: What the plot shows.
        bars: The steps, in their order, at least one; the first's total is the whole width.
    """
    unit = (_WIDTH - _LEFT - _RIGHT) / max(*(bar.total for bar in bars), 1)
    drawn = [part for index, bar in enumerate(bars) for part in _bar(bar, 4 + index * _ROW, unit)]
    return drawing(title, _WIDTH, 8 + _ROW * len(bars), drawn)


def _bar(bar: Bar, y: float, unit: float) -> list[Markup]:
    taken = max(bar.taken * unit, _THINNEST) if bar.taken else 0.0
    kept = max(bar.total * unit - taken, 0.0)
    sign = "" if bar.is_marked_only else "\N{MINUS SIGN}"
    figure = f"{sign}{bar.taken:,}" if bar.taken else ("0" if bar.is_marked_only else f"{bar.total:,}")
    return [
        element("g", [element("title", [bar.label]), text(4, y + 15, shorten(bar.label, _LONGEST_LABEL))]),
        element("rect", x=_LEFT, y=y + 4, width=kept, height=_BAR, class_="kept"),
        *(
            [element("rect", x=_LEFT + kept, y=y + 4, width=taken, height=_BAR, class_="annotated" if sign == "" else "removed")]
            if taken
            else []
        ),
        text(_WIDTH - 4, y + 15, figure, "end", None if bar.taken else "soft"),
    ]
