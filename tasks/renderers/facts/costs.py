"""What the distillation cost, and from which request on it has paid for itself."""

from tasks.renderers.charts.lines import Line, draw_lines
from tasks.renderers.formats import count, duration, money, words
from tasks.renderers.schema import Report
from tasks.renderers.tables import Cell, Column, Figure, Table, known, text_columns


def costs_table(report: Report) -> Table:
    """Return the costs in the recipe's currency."""
    costs = report.costs
    rows = [
        [Cell("1,000 requests, teacher"), known(costs.teacher_per_1k_requests, money)],
        [Cell("1,000 requests, student"), known(costs.student_per_1k_requests, money)],
        [Cell("the distillation", "machines and endpoints of the whole run"), known(costs.distillation, money)],
        [Cell("break-even", "requests until the distillation has paid for itself"), known(costs.break_even_requests, count)],
    ]
    return Table("Costs, in the currency of the recipe's prices", [*text_columns("cost"), Column("amount")], rows)


def stages_table(report: Report) -> Table:
    """Return the machines' time by stage."""
    seconds = report.costs.machine_seconds
    rows = [[Cell(words(stage)), Cell(duration(taken))] for stage, taken in seconds.items()]
    rows.append([Cell("in all"), Cell(duration(sum(seconds.values())))])
    return Table("Machine time by stage", [*text_columns("stage"), Column("time")], rows)


def is_priced(report: Report) -> bool:
    """Return whether the recipe gave any price."""
    costs = report.costs
    return any(each is not None for each in (costs.teacher_per_1k_requests, costs.student_per_1k_requests, costs.distillation))


def break_even_figure(report: Report) -> Figure | None:
    """Return the costs of both models as requests add up; None where there is no point from which on the student is cheaper."""
    costs = report.costs
    teacher, student, made = costs.teacher_per_1k_requests, costs.student_per_1k_requests, costs.distillation
    if not costs.break_even_requests or teacher is None or student is None or made is None:
        return None
    last = 2 * costs.break_even_requests / 1_000
    lines = [
        Line("teacher", "teacher", [(0, 0), (last, last * teacher)]),
        Line("distillation and student", "student", [(0, made), (last, made + last * student)]),
    ]
    plot = draw_lines(
        "Costs of teacher and student as requests add up",
        lines,
        x_name="thousands of requests",
        y_name="cost",
        written=lambda v: f"{v:,.4g}",
    )
    reading = f"The lines cross at {costs.break_even_requests:,} requests: from there on the student is cheaper."
    return Figure("Break-even", reading, plot, costs_table(report))
