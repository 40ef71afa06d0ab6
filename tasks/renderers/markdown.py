"""report.md: the report as tables, short enough for a pull request, a model card or the Prefect UI."""

import re

from tasks.renderers.facts.case_study import case_study_table
from tasks.renderers.facts.costs import costs_table, is_priced, stages_table
from tasks.renderers.facts.curation import curation_line, funnel_table
from tasks.renderers.facts.earlier import earlier_table
from tasks.renderers.facts.interruptions import interruption_line, interruptions_table
from tasks.renderers.facts.lineage import artifacts_table, licences_table, models_table, release_table
from tasks.renderers.facts.quality import (
    comparisons_table,
    fidelity_table,
    likeness_table,
    scores_table,
    slices_table,
    totals_table,
)
from tasks.renderers.facts.serving import loads_table, serving_table
from tasks.renderers.facts.verdict import ADVICE, VERDICTS, conditions_table, reason
from tasks.renderers.schema import Report, TaskReport
from tasks.renderers.tables import Table, written
from tasks.renderers.text import visible

_MOST_SLICES = 10
_MARKS = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w))")
"""What Markdown would take for more than text; an underscore inside of a word is none."""


def render_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    slices = slices_table(report)
    parts = [
        f"# {_text(report.name)}: {VERDICTS[report.verdict]}",
        f"{ADVICE[report.verdict]} {_text(reason(report))}",
        f"{report.items:,} test items, the same for all models; in brackets are 95 % intervals.",
        *(f"> **Note:** {_text(caveat)}" for caveat in report.caveats),
        _table(conditions_table(report)),
        _table(case_study_table(report)),
        "## Quality",
        _table(totals_table(report)),
        *(_table(table) for task in report.tasks for table in _tables(task)),
        _table(slices._replace(caption="Slices that retain least", rows=slices.rows[:_MOST_SLICES])),
        "## Serving and costs",
        _table(serving_table(report)),
        _table(loads_table(report)),
        _table(costs_table(report)) if is_priced(report) else "",
        _table(stages_table(report)),
        "## Curation",
        f"{curation_line(report.curation)}.",
        _table(funnel_table(report.curation)),
        "## Where it came from",
        _table(models_table(report)),
        _table(licences_table(report)),
        _table(release_table(report)),
        _table(artifacts_table(report)),
        f"Interruptions: {_text(interruption_line(report))}",
        _table(interruptions_table(report)),
        _table(earlier_table(report)) if report.earlier else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tables(task: TaskReport) -> tuple[Table, ...]:
    return scores_table(task), comparisons_table(task), likeness_table(task), fidelity_table(task)


def _table(table: Table | None) -> str:
    if table is None or not table.rows:
        return ""
    head = " | ".join(_text(column.name) for column in table.columns)
    rule = "|".join("---:" if column.kind == "figure" else "---" for column in table.columns)
    rows = (" | ".join(_text(written(cell)) for cell in row) for row in table.rows)
    lines = [f"**{_text(table.caption)}**", "", f"| {head} |", f"|{rule}|", *(f"| {row} |" for row in rows)]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Return a text that is shown as it is, in its place: models have whatever names their files and endpoints have."""
    return _MARKS.sub(r"\\\1", visible(" ".join(text.split())))
