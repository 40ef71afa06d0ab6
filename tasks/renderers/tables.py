"""Tables and figures as every form of the report takes them: what is in each cell, not how it looks."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from markupsafe import Markup

from tasks.metrics.intervals import NOTHING, Interval
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import UNKNOWN, bounds
from tasks.renderers.schema import ModelName, Outcome

MODELS: tuple[ModelName, ...] = ("teacher", "baseline", "control", "student")
"""In the order in which every table and plot has them."""


class Cell(NamedTuple):
    """One cell: a text and, quieter, what it is uncertain by or what explains it."""

    text: str
    quiet: str = ""
    outcome: Outcome | None = None


class Column(NamedTuple):
    """The head of a column."""

    name: str
    kind: Literal["figure", "text", "code"] = "figure"
    """Figures end at the right, one above the other; texts begin at the left; code is told apart letter by letter."""


class Table(NamedTuple):
    """A table whose first column names the rows."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def records(self) -> list[dict[str, str]]:
        """Return a row as its texts by column, the form in which Prefect takes tables."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, (written(cell) for cell in row), strict=True)) for row in self.rows]


class Figure(NamedTuple):
    """A plot, how to read it, and the figures that it shows."""

    title: str
    reading: str
    plot: Markup
    table: Table


def written(cell: Cell) -> str:
    """Return a cell as one text."""
    if not cell.quiet:
        return cell.text
    return f"{cell.text} ({cell.quiet})" if cell.text else cell.quiet


def measured(interval: Interval | None, form: Written) -> Cell:
    """Return a value with its 95 % interval; a dash where it is not known."""
    return Cell(UNKNOWN) if interval is None or interval == NOTHING else Cell(form(interval.value), bounds(interval, form))


def known(value: float | None, form: Written) -> Cell:
    """Return a value without an interval; a dash where it is not known."""
    return Cell(UNKNOWN if value is None else form(value))


def text_columns(*names: str) -> list[Column]:
    """Return heads of columns that hold texts."""
    return [Column(name, kind="text") for name in names]


def present(*found: Mapping[ModelName, object]) -> list[ModelName]:
    """Return which models anything is known of, in the order of every table."""
    return [model for model in MODELS if any(each.get(model) is not None for each in found)]
