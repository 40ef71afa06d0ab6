"""A training's losses by step, out of the metrics that it logged."""

import json
from pathlib import Path

from markupsafe import Markup

from tasks.renderers.charts.lines import Line, draw_lines

_LINES = (("loss", "training", "student"), ("ce_loss", "cross-entropy", "teacher"), ("kd_loss", "distillation", "control"))


def plot_losses(metrics: Path) -> Markup:
    """Return the training and validation loss by step, and the parts of the former where it has two.

    Args:
        metrics: The training's metrics, JSON Lines; steps that a resumed training logged twice count as it logged them last.
    """
    return draw_lines(
        "Losses of the student's training by step",
        loss_lines(metrics),
        x_name="optimiser step",
        y_name="loss, nats per token",
        written=lambda value: f"{value:.3g}",
    )


def loss_lines(metrics: Path) -> list[Line]:
    """Return the losses that were logged, a line each."""
    rows = [json.loads(row) for row in metrics.read_text(encoding="utf-8").splitlines()]
    has_parts = any("kd_loss" in row for row in rows)
    wanted = [*(_LINES if has_parts else _LINES[:1]), ("eval_loss", "validation", "baseline")]
    lines = [
        Line(
            name, style, sorted({row["step"]: row[field] for row in rows if field in row}.items()), has_dots=field == "eval_loss"
        )
        for field, name, style in wanted
    ]
    return [line for line in lines if line.points]
