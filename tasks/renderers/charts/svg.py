"""Elements of SVG, escaped as they are put together."""

from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup, escape

from tasks.renderers.text import visible

Anchor = Literal["start", "middle", "end"]
Value = str | float


def element(name: str, children: Sequence[str] = (), **attributes: Value | None) -> Markup:
    """Return an element.

    Args:
        name: Its name.
        children: Its content; texts are escaped, markup of other elements is kept.
        attributes: Its attributes; an underscore stands for a hyphen, one at the end for none (``class_``). None: left out.
    """
    written = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _written(value))
        for key, value in attributes.items()
        if value is not None
    ]
    content = Markup("").join(escape(child if isinstance(child, Markup) else visible(child)) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), Markup("").join(written), content)


def text(x: float, y: float, content: str, anchor: Anchor = "start", class_: str | None = None) -> Markup:
    """Return a line of text, its baseline at ``y``."""
    return element("text", [content], x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str, *, is_closed: bool = False) -> Markup:
    """Return a line through points, or the area that it encloses."""
    steps = "L".join(f"{_written(x)} {_written(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if is_closed else ''}", class_=class_)


def drawing(title: str, width: float, height: float, children: Sequence[str]) -> Markup:
    """Return a whole plot: it scales to the width of its place and is called by its title to who cannot see it."""
    return element(
        "svg",
        [element("title", [title]), *children],
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_written(width)} {_written(height)}",
        role="img",
        class_="plot",
    )


def _written(value: Value) -> str:
    if isinstance(value, str):
        return visible(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")
