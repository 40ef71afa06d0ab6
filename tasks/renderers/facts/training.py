"""How the student's training went."""

from pathlib import Path

from tasks.renderers.charts.losses import loss_lines, plot_losses
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import UNKNOWN, count, duration, nats, rate, size
from tasks.renderers.schema import Report
from tasks.renderers.tables import Cell, Column, Figure, Table, text_columns

_MOST_ROWS = 40
_FIGURES: tuple[tuple[str, str, Written], ...] = (
    ("train_loss", "training loss", nats),
    ("eval_loss", "validation loss", nats),
    ("best_eval_loss", "best validation loss", nats),
    ("train_seconds", "time", duration),
    ("tokens_per_second", "tokens", rate),
    ("peak_memory_bytes", "peak memory", size),
)
"""Of the training's summary: name there, name here, form."""


def losses_figure(metrics: Path) -> Figure:
    """Return the losses by step.

    Args:
        metrics: The training's metrics, JSON Lines.
    """
    lines = loss_lines(metrics)
    by_step: dict[float, dict[str, float]] = {}
    for line in lines:
        for step, loss in line.points:
            by_step.setdefault(step, {})[line.name] = loss
    steps = sorted(by_step)
    every = -(-len(steps) // _MOST_ROWS) or 1
    shown = [
        step for index, step in enumerate(steps) if index % every == 0 or "validation" in by_step[step] or index == len(steps) - 1
    ]
    rows = [
        [
            Cell(count(step)),
            *(Cell(f"{by_step[step][line.name]:.4g}" if line.name in by_step[step] else UNKNOWN) for line in lines),
        ]
        for step in shown
    ]
    columns = [Column("step"), *(Column(line.name) for line in lines)]
    caption = "Losses by step, nats per token" + (f", every {every} of those logged" if every > 1 else "")
    return Figure(
        "Losses by step",
        "Lower is better; validation is on examples that were not trained on.",
        plot_losses(metrics),
        Table(caption, columns, rows),
    )


def training_table(report: Report) -> Table:
    """Return what the training came to and took, as far as it was recorded."""
    summary = report.stages.get("student", {}).get("summary", {})
    rows = [[Cell(name), Cell(form(summary[key]))] for key, name, form in _FIGURES if isinstance(summary.get(key), int | float)]
    return Table("What the training took", [*text_columns("figure"), Column("value")], rows)
