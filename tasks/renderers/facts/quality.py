"""Quality by task and by slice."""

from markupsafe import Markup

from tasks.metrics.intervals import NOTHING, Interval
from tasks.renderers.charts.dots import DotRow, Guide, draw_dots
from tasks.renderers.formats import count, nats, perplexity, points, probability, score, share, whole_share, words
from tasks.renderers.schema import Fidelity, Opponent, Preference, Rates, Report, TaskReport
from tasks.renderers.tables import Cell, Column, Figure, Table, known, measured, present, text_columns

_LIKENESS = {"chrf": Cell("chrF++", "mean of single answers"), "bleu": Cell("BLEU", "all answers together")}
_MOST_SLICES = 14
"""In a plot; the table has them all."""


def scores_table(task: TaskReport) -> Table:
    """Return a task's metrics and the shares of answers that are wrong in form, with the models as columns."""
    models = present(*task.metrics.values(), task.rates)  # without references there are rates alone
    metrics = sorted(task.metrics, key=lambda name: name != task.metric)  # the primary one first, the others as they are
    rows = [
        [
            Cell(words(name), "primary" if name == task.metric else ""),
            *(measured(task.metrics[name].get(m), score) for m in models),
        ]
        for name in metrics
    ]
    for rate in Rates.model_fields:
        shares = [getattr(task.rates[model], rate) if model in task.rates else None for model in models]
        rows.append([Cell(f"{rate} answers"), *(measured(found, share) for found in shares)])
    return Table(f"Scores: {task.task}", [Column("metric", kind="text"), *(Column(model) for model in models)], rows)


def fidelity_table(task: TaskReport) -> Table:
    """Return how near each model's token probabilities are to the teacher's; no rows where nothing was compared."""
    models = present(task.fidelity)
    compared = next((found for found in task.fidelity.values() if found.covered is not None), Fidelity())
    held = (
        f"at least, of {compared.items:,} items; the candidates hold {share(compared.covered or 0)} of the teacher's probability"
    )
    named = {
        "divergence": (Cell("KL from the teacher, a token", held), nats),
        "top1_agreement": (Cell("likeliest token is the teacher's"), share),
        "answer_perplexity": (Cell("perplexity of the teacher's answers"), perplexity),
        "reference_perplexity": (Cell("perplexity of the references"), perplexity),
    }
    rows = [
        [name, *(measured(getattr(task.fidelity[model], figure), form) for model in models)]
        for figure, (name, form) in named.items()
        if any(getattr(found, figure) is not None for found in task.fidelity.values())
    ]
    return Table(f"Token by token: {task.task}", [*text_columns("figure"), *(Column(model) for model in models)], rows)


def comparisons_table(task: TaskReport) -> Table:
    """Return what a task says of the student beside teacher and baseline."""
    rows = [
        [Cell("retained", "student / teacher"), measured(task.retained, share)],
        [Cell("gap closed", "of the way from baseline to teacher"), measured(task.gap_closed, share)],
        [Cell("improvement", "student - baseline"), measured(task.improvement, points)],
    ]
    if task.agreement is not None:
        rows.append([Cell("agreement with the teacher"), measured(task.agreement, share)])
    if task.kappa is not None:
        rows.append([Cell("agreement beyond chance", "Cohen's kappa"), Cell(f"{task.kappa:.2f}")])
    rows += [
        [Cell(f"p, against {words(name)}", "adjusted over the tasks"), known(p, probability)] for name, p in task.p_values.items()
    ]
    if task.required_items is not None:
        rows.append([Cell("items needed to decide"), Cell(count(task.required_items), f"tested were {task.items:,}")])
    for opponent, preference in task.preferences.items():
        rows += _preference_rows(opponent, preference)
    return Table(f"Comparisons: {task.task}", [*text_columns("comparison"), Column("student")], rows)


def likeness_table(task: TaskReport) -> Table:
    """Return how like the teacher's answers the other models' are; no rows unless many answers are right."""
    models = present(*task.likeness.values())
    rows = [
        [name, *(measured(task.likeness[measure].get(model), share) for model in models)]
        for measure, name in _LIKENESS.items()
        if measure in task.likeness
    ]
    caption = f"Likeness to the teacher's answers: {task.task}"
    return Table(caption, [*text_columns("likeness to the teacher"), *(Column(model) for model in models)], rows)


def _preference_rows(opponent: Opponent, judged: Preference) -> list[list[Cell]]:
    return [
        [Cell(f"preferred to the {opponent}", f"by {judged.judge}"), measured(judged.win_rate, share)],
        [Cell("the same, lengths set equal"), measured(judged.length_controlled_win_rate, share)],
        [
            Cell("wins, ties, losses", f"of {judged.items:,} judged"),
            Cell(f"{judged.wins:,}, {judged.ties:,}, {judged.losses:,}"),
        ],
        [Cell("judged alike in both orders", "where answers differ"), Cell(share(judged.consistent))],
        [Cell("judged for the first shown", "50 % without a bias"), known(judged.first_preferred, share)],
        [Cell("items without a preference", "not judged, or not readably"), Cell(count(judged.unreadable))],
    ]


def scored_tasks(report: Report) -> list[TaskReport]:
    """Return the tasks that have scores: of conversations without references only a judge can tell."""
    return [task for task in report.tasks if task.metric in task.metrics]


def primary_table(report: Report) -> Table:
    """Return the primary score of each task and model."""
    tasks = scored_tasks(report)
    models = present(*(task.metrics[task.metric] for task in tasks))
    rows = [
        [
            Cell(task.task, f"{words(task.metric)}, {task.items:,} items"),
            *(measured(task.metrics[task.metric].get(model), score) for model in models),
        ]
        for task in tasks
    ]
    return Table("Primary scores by task", [*text_columns("task"), *(Column(model) for model in models)], rows)


def retained_table(report: Report) -> Table:
    """Return what the student retains of the teacher's score, of all tasks together and of each."""
    rows = [[Cell(name), measured(retained, share)] for name, retained in _retained(report)]
    return Table("Share of the teacher's score that is retained", [*text_columns("task"), Column("retained")], rows)


def totals_table(report: Report) -> Table:
    """Return what all tasks together say."""
    rows = [
        [Cell("retained", "student / teacher"), measured(report.retained, share)],
        [Cell("gap closed", "of the way from baseline to teacher"), measured(report.gap_closed, share)],
        [Cell("improvement", "student - baseline"), measured(report.improvement, points)],
    ]
    return Table("All tasks together", [*text_columns("comparison"), Column("student")], rows)


def slices_table(report: Report) -> Table:
    """Return the slices, what retains least first, and last those in which the teacher has nothing that could be retained."""
    models = present(*(each.scores for each in report.slices))
    rows = [
        [
            Cell(f"{words(each.field)}: {each.value}"),
            Cell(count(each.items)),
            *(measured(each.scores.get(model), score) for model in models),
            measured(each.retained, share),
        ]
        for each in sorted(report.slices, key=lambda each: (each.retained == NOTHING, each.retained.value))
    ]
    columns = [*text_columns("slice"), Column("items"), *(Column(model) for model in models), Column("retained")]
    return Table("Quality by slice", columns, rows)


def quality_figures(report: Report) -> list[Figure]:
    """Return the scores by task and model, and what is retained of them, in plots."""
    tasks = [
        DotRow(task.task, [(model, task.metrics[task.metric][model]) for model in present(task.metrics[task.metric])])
        for task in scored_tasks(report)
    ]
    if not tasks:
        return []
    scores = Figure(
        "Primary score by task",
        "Each dot is a model's score, the line its 95 % interval.",
        draw_dots("Primary score of each model by task", tasks, written=score, ticks=whole_share, has_legend=True),
        primary_table(report),
    )
    retained = [(name, interval) for name, interval in _retained(report) if interval != NOTHING]
    if not retained:  # the teacher has nothing right
        return [scores]
    return [
        scores,
        Figure(
            "Share of the teacher's score that is retained",
            "At 100 % the student is as good as the teacher.",
            _draw_retained("Share of the teacher's score that the student retains by task", retained, report),
            retained_table(report),
        ),
    ]


def slices_figures(report: Report) -> list[Figure]:
    """Return what is retained in the slices that retain least; nothing where the teacher has no score in any."""
    slices = [each for each in report.slices if each.retained != NOTHING]
    if not slices:
        return []
    worst = sorted(slices, key=lambda each: each.retained.value)[:_MOST_SLICES]
    shown = f"The {len(worst)} of {len(slices)} slices that retain least" if len(worst) < len(slices) else "All slices"
    return [
        Figure(
            "Share retained by slice",
            f"{shown}. Among many slices some fall low by chance: look at the intervals.",
            _draw_retained(
                "Share of the teacher's score that the student retains by slice",
                [(each.value, each.retained) for each in worst],
                report,
            ),
            slices_table(report),
        )
    ]


def _retained(report: Report) -> list[tuple[str, Interval]]:
    in_all = [("all tasks", report.retained)] if len(report.tasks) > 1 else []
    return in_all + [(task.task, task.retained) for task in scored_tasks(report)]


def _draw_retained(title: str, rows: list[tuple[str, Interval]], report: Report) -> Markup:
    guide = next((Guide(row.reference, "case study") for row in report.case_study if row.figure == "accuracy kept"), None)
    dots = [DotRow(label, [("student", interval)]) for label, interval in rows]
    return draw_dots(title, dots, written=share, ticks=whole_share, guide=guide)
