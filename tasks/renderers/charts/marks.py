"""Marks that tell the models apart without colour: each has a shape and a dash of its own; and the legend that explains them."""

from collections.abc import Sequence

from markupsafe import Markup

from tasks.renderers.charts.svg import element, line, path, text

_RADIUS = 4.5
_LETTER_WIDTH = 6.3
"""Of a letter in a plot's font, on the average."""


def dot(x: float, y: float, style: str, tip: str = "") -> Markup:
    """Return the mark of a model at a place.

    Args:
        x: Its centre.
        y: Its centre.
        style: The model, or another name that ``charts.css`` has colours for.
        tip: What is told when the mark is pointed at.
    """
    tips = [element("title", [tip])] if tip else []
    return element("g", [*tips, _shape(x, y, style)], class_=f"mark m-{style}")


def legend(x: float, y: float, entries: Sequence[tuple[str, str]], *, of_lines: bool = False) -> Markup:
    """Return in a row what the marks, or the lines, stand for.

    Args:
        x: Left end.
        y: Middle of the row.
        entries: Style and name of each.
        of_lines: Whether the marks are lines.
    """
    parts: list[Markup] = []
    for style, name in entries:
        if of_lines:
            parts.append(line(x, y, x + 20, y, f"line m-{style}"))
        else:
            parts.append(dot(x + 6, y, style))
        parts.append(text(x + (26 if of_lines else 16), y + 4, name))
        x += (44 if of_lines else 34) + _LETTER_WIDTH * len(name)
    return element("g", parts, class_="legend", aria_hidden="true")


def _shape(x: float, y: float, style: str) -> Markup:
    if style == "teacher":
        return element("rect", x=x - _RADIUS + 0.5, y=y - _RADIUS + 0.5, width=2 * _RADIUS - 1, height=2 * _RADIUS - 1)
    if style == "control":
        reach = _RADIUS + 1
        return path([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], "", is_closed=True)
    return element("circle", cx=x, cy=y, r=_RADIUS)
