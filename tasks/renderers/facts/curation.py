"""What the curation kept of the teacher's answers, and what it left out and why."""

from tasks.renderers.charts.bars import Bar, draw_funnel
from tasks.renderers.formats import count, duration, share, words
from tasks.renderers.schema import Curation
from tasks.renderers.tables import Cell, Column, Figure, Table, text_columns

_MODES = {"drop": "rejects", "annotate": "marks only", "redact": "blacks out"}


def curation_line(curation: Curation) -> str:
    """Return in one line how many answers were kept."""
    kept = f" ({share(curation.kept / curation.answers)})" if curation.answers else ""
    return f"{curation.kept:,} of {curation.answers:,} answers were kept{kept}"


def funnel_table(curation: Curation) -> Table:
    """Return a row a filter, in the order in which they looked at the answers."""
    rows = [
        [
            Cell(words(step.filter), "as asked for" if step.wanted else ""),
            Cell(_MODES[step.mode]),
            Cell(count(step.seen)),
            Cell(count(step.marginal)),
            Cell(count(step.independent)),
            Cell(duration(step.seconds)),
        ]
        for step in curation.funnel
    ]
    columns = [*text_columns("filter", "mode"), *(Column(name) for name in ("seen", "first reason", "any reason", "time"))]
    return Table("Curation of the answers by filter", columns, rows)


def funnel_figure(curation: Curation) -> Figure:
    """Return the filters as a funnel: each of what those before it have left, though all of them may have seen every answer."""
    left, bars = curation.answers, [Bar("answers", curation.answers, 0)]
    for step in curation.funnel:
        is_dropped = step.mode == "drop"
        bars.append(Bar(words(step.filter), left, step.marginal if is_dropped else min(step.independent, left), not is_dropped))
        left -= step.marginal
    bars.append(Bar("kept", curation.kept, 0))
    return Figure(
        "Answers through the filters",
        f"{curation_line(curation)}. At the right end of each bar is what the filter took out, or marked only.",
        draw_funnel("Answers through the filters of the curation", bars),
        funnel_table(curation),
    )


def labels_table(curation: Curation) -> Table:
    """Return how many answers each label has before and after, what lost most first."""
    before, after = curation.labels_before, curation.labels_after

    def kept(label: str) -> float:
        return after.get(label, 0) / before[label] if before.get(label) else 1.0

    rows = [
        [Cell(label), Cell(count(before.get(label, 0))), Cell(count(after.get(label, 0))), Cell(share(kept(label)))]
        for label in sorted({**before, **after}, key=lambda label: (kept(label), label))
    ]
    return Table("Labels before and after", [*text_columns("label"), Column("before"), Column("after"), Column("kept")], rows)
