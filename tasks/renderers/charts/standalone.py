"""A plot as a file of its own, which brings along the colours that a page would give it."""

from importlib.resources import files

from markupsafe import Markup

_OWN = "svg.plot { color-scheme: light dark; background: var(--paper); font: 12px system-ui, sans-serif; }"


def chart_style() -> str:
    """Return the style sheet of the plots."""
    return (files("tasks.renderers.charts") / "charts.css").read_text(encoding="utf-8")


def standalone(plot: Markup) -> str:
    """Return a plot as the text of an SVG file."""
    head, opened, content = plot.partition("><title>")
    return f"{head}><style>{chart_style()}{_OWN}</style>{opened[1:]}{content}\n"
