"""Interruptions as every form of the report shows them: one line, and a row for each stage if there were any."""

from tasks.core.attempts import Interruptions
from tasks.renderers.formats import duration, share, words
from tasks.renderers.schema import Report
from tasks.renderers.tables import Cell, Column, Table, known, text_columns


def interruption_line(report: Report) -> str:
    """Return in one line what was lost; ``none`` if every attempt finished."""
    found, total = report.interruptions.stages, report.interruptions.in_all
    missing = ", ".join(name for name, figures in found.items() if figures is None)
    if total is None:
        return "not recorded"
    if total.interrupted:
        units = f" ({_units(total)})" if total.lost else ""
        goodput = "" if total.goodput is None else f", goodput {share(total.goodput)}"
        line = f"{total.attempts:,} attempts, {_ends(total)}, {duration(total.lost_seconds)} of work lost{units}{goodput}"
    else:
        line = "none"
    return f"{line} (not recorded for {missing})" if missing else line


def interruptions_table(report: Report) -> Table | None:
    """Return a row for each stage that recorded its attempts; None if all of these finished."""
    total = report.interruptions.in_all
    if total is None or not total.interrupted:
        return None
    rows = [
        [
            Cell(words(name)),
            Cell(f"{figures.attempts:,}"),
            Cell(_ends(figures) if figures.interrupted else "none"),
            Cell(duration(figures.seconds)),
            Cell(duration(figures.lost_seconds), _units(figures)) if figures.interrupted else Cell("none"),
            known(figures.goodput, share),
        ]
        for name, figures in report.interruptions.stages.items()
        if figures is not None
    ]
    columns = [
        *text_columns("stage"),
        Column("attempts"),
        Column("interrupted", kind="text"),
        Column("time of all attempts"),
        Column("lost"),
        Column("goodput"),
    ]
    return Table("Interruptions by stage", columns, rows)


def _ends(figures: Interruptions) -> str:
    counts = {"killed": figures.killed, "preempted": figures.preempted, "failed": figures.failed}
    return ", ".join(f"{count} {end}" for end, count in counts.items() if count)


def _units(figures: Interruptions) -> str:
    return ", ".join(f"{count:,} {unit if count > 1 else unit.removesuffix('s')}" for unit, count in figures.lost.items())
