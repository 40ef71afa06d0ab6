"""report.md: the result as a table, for a pull request, a model card or the Prefect UI."""

from tasks.renderers.formats import mebibytes, milliseconds, share, with_interval
from tasks.renderers.schema import Report

VERDICTS = {"ship": "Ship it", "do_not_ship": "Do not ship it", "inconclusive": "Inconclusive"}


def table_rows(report: Report) -> list[dict[str, str]]:
    """Return the three models' results, one row a figure, with the models as columns."""
    models = report.models
    rows = [
        {"figure": name.replace("_", "-"), **{model: with_interval(result.metrics[name]) for model, result in models.items()}}
        for name in models["teacher"].metrics
    ]
    rows += [
        {"figure": "latency, one request", **{model: milliseconds(r.latency_seconds) for model, r in models.items()}},
        {"figure": "answers outside the labels", **{model: _invalid(r.invalid_ratio) for model, r in models.items()}},
        {"figure": "items per second", **{model: f"{r.items_per_second:.1f}" for model, r in models.items()}},
        {"figure": "peak memory", **{model: mebibytes(r.peak_memory_bytes) for model, r in models.items()}},
        {"figure": "weights", **{model: mebibytes(r.weight_bytes) for model, r in models.items()}},
    ]
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
        ("users on the same machine", f"{saved.users:.1f}x"),
    ]


def render_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    rows = "\n".join(f"| {' | '.join(row.values())} |" for row in table_rows(report))
    comparisons = "\n".join(f"| {name} | {value} |" for name, value in comparison_rows(report))
    return (
        f"# {report.name}: {VERDICTS[report.verdict]}\n\n{report.reason}.\n\n"
        f"{report.items} test items; shares with 95 % intervals.\n\n"
        f"| | teacher | baseline | student |\n|---|---|---|---|\n{rows}\n\n"
        f"| comparison | |\n|---|---|\n{comparisons}\n"
    )


def _invalid(ratio: float | None) -> str:
    return "-" if ratio is None else share(ratio)
