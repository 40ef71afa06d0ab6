"""Interruptions as every form of the report shows them: one line, and a row for each stage if there were any."""

from tasks.core.attempts import Interruptions
from tasks.renderers.formats import duration, share
from tasks.renderers.schema import Report

COLUMNS = ("interruptions", "attempts", "interrupted", "time of all attempts", "lost", "goodput")


def interruption_line(report: Report) -> str:
    """Return in one line what was lost; ``none`` if every attempt finished."""
    found, total = report.interruptions.stages, report.interruptions.in_all
    missing = ", ".join(name for name, figures in found.items() if figures is None)
    if total is None:
        return "not recorded"
    if total.interrupted:
        lost = f"{duration(total.lost_seconds)} of work lost{_units(total)}"
        line = f"{total.attempts} attempts, {_ends(total)}, {lost}, goodput {share(total.goodput)}"
    else:
        line = "none"
    return f"{line} (not recorded for {missing})" if missing else line


def interruption_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row of ``COLUMNS`` for each stage that recorded its attempts; nothing if all of these finished."""
    total = report.interruptions.in_all
    if total is None or not total.interrupted:
        return []
    return [
        (
            name.replace("_", " "),
            str(figures.attempts),
            _ends(figures) if figures.interrupted else "none",
            duration(figures.seconds),
            f"{duration(figures.lost_seconds)}{_units(figures)}" if figures.interrupted else "none",
            share(figures.goodput),
        )
        for name, figures in report.interruptions.stages.items()
        if figures is not None
    ]


def _ends(figures: Interruptions) -> str:
    counts = {"killed": figures.killed, "preempted": figures.preempted, "failed": figures.failed}
    return ", ".join(f"{count} {end}" for end, count in counts.items() if count)


def _units(figures: Interruptions) -> str:
    units = ", ".join(f"{count:,} {unit if count > 1 else unit.removesuffix('s')}" for unit, count in figures.lost.items())
    return f" ({units})" if units else ""
