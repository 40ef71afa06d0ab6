"""The report beside earlier ones of the same name: is the recipe getting better?"""

from tasks.metrics.intervals import NOTHING, Interval
from tasks.renderers.charts.dots import DotRow, draw_dots
from tasks.renderers.facts.quality import scored_tasks
from tasks.renderers.facts.verdict import VERDICTS
from tasks.renderers.formats import UNKNOWN, count, score, share, whole_share
from tasks.renderers.schema import Report, Verdict
from tasks.renderers.tables import Cell, Column, Figure, Table, measured, text_columns

_MOST_RUNS = 12
"""In the plot; the table has them all."""


def earlier_table(report: Report) -> Table:
    """Return this run and those before it, newest first."""
    tasks = [task.task for task in report.tasks]

    def row(name: str, note: str, verdict: Verdict, items: int, retained: Interval, scores: dict[str, float]) -> list[Cell]:
        found = (Cell(score(scores[task]) if task in scores else UNKNOWN) for task in tasks)
        return [Cell(name, note), Cell(VERDICTS[verdict]), Cell(count(items)), measured(retained, share), *found]

    this = {task.task: task.metrics[task.metric]["student"].value for task in scored_tasks(report)}
    rows = [row("this run", "", report.verdict, report.items, report.retained, this)]
    for run in sorted(report.earlier, key=lambda run: run.created_at, reverse=True):
        rows.append(row(_date(run.created_at), run.fingerprint[:8], run.verdict, run.items, run.retained, run.student))
    columns = [
        *text_columns("run", "verdict"),
        Column("items"),
        Column("retained"),
        *(Column(f"student, {task}") for task in tasks),
    ]
    return Table("Runs of this recipe", columns, rows)


def earlier_figure(report: Report) -> Figure | None:
    """Return what each run retained, oldest first; None where no run has anything that could be retained."""
    runs = sorted(report.earlier, key=lambda run: run.created_at)[-_MOST_RUNS:]
    rows = [DotRow(_date(run.created_at), [("earlier", run.retained)]) for run in runs if run.retained != NOTHING]
    rows += [DotRow("this run", [("student", report.retained)])] if report.retained != NOTHING else []
    if not rows:
        return None
    items = {run.items for run in report.earlier} | {report.items}
    same = "" if len(items) == 1 else " The runs were tested on different numbers of items: compare them with care."
    return Figure(
        "Share of the teacher's score retained, run by run",
        f"Oldest first.{same}",
        draw_dots("Share of the teacher's score retained by each run", rows, written=share, ticks=whole_share),
        earlier_table(report),
    )


def _date(created_at: str) -> str:
    return created_at[:16].replace("T", " ")
