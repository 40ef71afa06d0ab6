"""Lines: how a figure changes with another, one line a model or a kind of loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.renderers.charts.marks import dot, legend
from tasks.renderers.charts.scales import Scale, Written, fit, round_values
from tasks.renderers.charts.svg import drawing, line, path, text

_WIDTH, _HEIGHT = 460, 282
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 18, 56, 42


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    name: str
    style: str
    """The model, or another name that ``charts.css`` has colours for."""
    points: Sequence[tuple[float, float]]
    upper: Sequence[float] = ()
    """Ends of the band above the line, one a point; none: there is no band."""
    has_dots: bool = False


def draw_lines(
    title: str,
    lines: Sequence[Line],
    *,
    x_name: str,
    y_name: str,
    written: Written,
    x_ticks: Sequence[float] | None = None,
    is_logarithmic: bool = False,
) -> Markup:
    """Return lines over a common pair of axes.

    Args:
        title: What the plot shows.
        lines: The lines; without any point an empty frame says so.
        x_name: What lies to the right, with its unit.
        y_name: What lies upward, with its unit.
        written: How the values upward are written.
        x_ticks: Values to the right that are written, spread by their logarithms; None: round ones, spread evenly.
        is_logarithmic: Whether the values upward, which are positive then, are spread by their logarithms.
    """
    drawn = [each for each in lines if each.points]
    if not drawn:
        return drawing(title, _WIDTH, 60, [text(_WIDTH / 2, 34, "nothing was recorded", "middle", "soft")])
    xs = [x for each in drawn for x, _ in each.points]
    ys = [value for each in drawn for value in (*(y for _, y in each.points), *each.upper)]
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    if x_ticks is None:
        across = Scale(0.0, max(xs), _LEFT, right)
        ticks = [tick for tick in round_values(0.0, max(xs)) if tick <= max(xs)]
    else:
        across, ticks = Scale(min(x_ticks), max(x_ticks), _LEFT + 14, right - 14, is_logarithmic=True), list(x_ticks)
    upward, levels = fit(ys, bottom, _TOP, is_logarithmic=is_logarithmic)
    frame = [
        *(line(_LEFT, upward.place(level), right, upward.place(level), "grid") for level in levels),
        *(text(_LEFT - 8, upward.place(level) + 4, written(level), "end", "soft") for level in levels),
        *(text(across.place(tick), bottom + 18, f"{tick:,.6g}", "middle", "soft") for tick in ticks),
        line(_LEFT, bottom, right, bottom, "axis"),
        text((_LEFT + right) / 2, _HEIGHT - 6, x_name, "middle", "soft"),
        text(4, 40, y_name, "start", "soft"),
        legend(4, 12, [(each.style, each.name) for each in drawn], of_lines=True),
    ]
    return drawing(title, _WIDTH, _HEIGHT, [*frame, *(part for each in drawn for part in _draw(each, across, upward))])


def _draw(drawn: Line, across: Scale, upward: Scale) -> list[Markup]:
    places = [(across.place(x), upward.place(y)) for x, y in drawn.points]
    parts: list[Markup] = []
    if drawn.upper:
        ends = [(x, upward.place(value)) for (x, _), value in zip(places, drawn.upper, strict=True)]
        parts.append(path([*places, *reversed(ends)], f"band m-{drawn.style}", is_closed=True))
    parts.append(path(places, f"line m-{drawn.style}"))
    if drawn.has_dots or len(places) == 1:
        parts += [dot(x, y, drawn.style) for x, y in places]
    return parts
