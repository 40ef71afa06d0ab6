"""report.md: the result as a table, for a pull request, a model card or the Prefect UI."""

from tasks.renderers.formats import mebibytes, milliseconds, money, share, times, with_interval
from tasks.renderers.interruptions import COLUMNS, interruption_line, interruption_rows
from tasks.renderers.schema import Report

VERDICTS = {"ship": "Ship it", "do_not_ship": "Do not ship it", "inconclusive": "Inconclusive"}


def table_rows(report: Report) -> list[dict[str, str]]:
    """Return the three models' results, one row a figure, with the models as columns."""
    models = report.models
    rows = [{"figure": "model", **{model: result.name for model, result in models.items()}}]
    rows += [
        {"figure": name.replace("_", "-"), **{model: with_interval(result.metrics[name]) for model, result in models.items()}}
        for name in models["teacher"].metrics
    ]
    rows += [
        {"figure": "latency, one request", **{model: milliseconds(r.serving.latency_seconds) for model, r in models.items()}},
        {"figure": "answers outside the labels", **{model: share(r.invalid_ratio) for model, r in models.items()}},
        {"figure": "items per second", **{model: f"{r.serving.items_per_second:.1f}" for model, r in models.items()}},
        {"figure": "peak memory", **{model: mebibytes(r.serving.peak_memory_bytes) for model, r in models.items()}},
        {"figure": "weights", **{model: mebibytes(r.serving.weight_bytes) for model, r in models.items()}},
    ]
    costs = {model: result.serving.cost_per_1k_requests for model, result in models.items()}
    if any(cost is not None for cost in costs.values()):
        rows.append({"figure": "price of 1,000 requests", **{model: money(cost) for model, cost in costs.items()}})
    return rows


def comparison_rows(report: Report) -> list[tuple[str, str]]:
    """Return the comparisons between the models and what the student saves."""
    saved = report.savings
    return [
        ("retained (student / teacher)", with_interval(report.retained)),
        ("gap closed", with_interval(report.gap_closed)),
        ("improvement over the baseline", with_interval(report.improvement)),
        ("agreement with the teacher", with_interval(report.agreement)),
        ("latency saved", share(saved.latency)),
        ("memory saved", share(saved.memory)),
        ("size saved", share(saved.size)),
        ("cost saved (machine time per item)", share(saved.cost)),
        ("users on the same machine", times(saved.users)),
    ]


def render_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    rows = "\n".join(f"| {' | '.join(_cell(value) for value in row.values())} |" for row in table_rows(report))
    comparisons = "\n".join(f"| {name} | {value} |" for name, value in comparison_rows(report))
    return (
        f"# {report.name}: {VERDICTS[report.verdict]}\n\n{report.reason}.\n\n"
        f"{report.items} test items; shares with 95 % intervals.\n\n"
        f"| | teacher | baseline | student |\n|---|---|---|---|\n{rows}\n\n"
        f"| comparison | |\n|---|---|\n{comparisons}\n\n"
        f"Interruptions: {interruption_line(report)}\n{_interruptions(report)}"
    )


def _interruptions(report: Report) -> str:
    rows = "".join(f"| {' | '.join(_cell(value) for value in row)} |\n" for row in interruption_rows(report))
    return f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n{rows}" if rows else ""


def _cell(text: str) -> str:
    """Return a text that stays inside its cell: models have whatever names their files and endpoints have."""
    return " ".join(text.split()).replace("|", "\\|")
