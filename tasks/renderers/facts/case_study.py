"""The case-study table: what the student changes against the teacher, beside what the case study reached."""

from typing import NamedTuple

from tasks.metrics.intervals import Interval
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import UNKNOWN, bounds, latency, money, rate, share, size, times, whole_share, whole_times
from tasks.renderers.schema import CaseRow, Report
from tasks.renderers.tables import Cell, Column, Table, known, present

_FORMS: dict[str, Written] = {
    "seconds": latency,
    "bytes": size,
    "share": share,
    "money": money,
    "requests_per_second": rate,
}
_NAMES = {
    "latency": ("latency", "one request alone"),
    "memory": ("memory", "weights, keys and values"),
    "accuracy kept": ("accuracy", "primary score, all tasks"),
    "cost": ("cost", "of 1,000 requests"),
    "concurrent users": ("concurrent users", "requests answered, many at once"),
}


class Headline(NamedTuple):
    """One of the figures that the page opens with."""

    value: str
    name: str
    bounds: str
    reference: str


def case_study_table(report: Report) -> Table:
    """Return the case study's figures, one a row, with the models as columns."""
    models = present(*(row.values for row in report.case_study))
    return Table(
        "What the student changes against the teacher",
        [Column("figure", kind="text"), *(Column(model) for model in models), Column("change"), Column("case study")],
        [
            [
                Cell(*_NAMES[row.figure]),
                *(known(row.values.get(model), _FORMS[row.unit]) for model in models),
                Cell(UNKNOWN) if row.change is None else _change(row, row.change),
                Cell(_reference(row)),
            ]
            for row in report.case_study
        ],
    )


def headlines(report: Report) -> list[Headline]:
    """Return the changes that are known, as large figures with their names."""
    found: list[Headline] = []
    for row in report.case_study:
        if row.change is not None:
            change, word = _told(row, row.change)
            name = f"{word} {row.figure}" if word in ("less", "more") else row.figure
            form = _form(row)
            found.append(Headline(form(change.value), name, bounds(change, form), _reference(row)))
    return found


def _change(row: CaseRow, change: Interval) -> Cell:
    told, word = _told(row, change)
    form = _form(row)
    return Cell(f"{form(told.value)} {word}".strip(), bounds(told, form))


def _reference(row: CaseRow) -> str:
    told, word = _told(row, Interval(value=row.reference))
    form = whole_times if row.figure == "concurrent users" else whole_share
    return f"{form(told.value)} {word}".strip()


def _form(row: CaseRow) -> Written:
    return times if row.figure == "concurrent users" else share


def _told(row: CaseRow, change: Interval) -> tuple[Interval, str]:
    """Return a change as one tells it: what was not saved but lost is so much more, not less than nothing."""
    if row.figure in ("accuracy kept", "concurrent users"):
        return change, "kept" if row.figure == "accuracy kept" else ""
    if change.value >= 0:
        return change, "less"
    low, high = (None if bound is None else -bound for bound in (change.high, change.low))
    return Interval(value=-change.value, low=low, high=high), "more"
