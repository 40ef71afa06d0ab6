"""The report's plots, as SVG text to be put inside the page."""

import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # no display, and text that scales

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.renderers.formats import UNKNOWN
from tasks.renderers.schema import Report

COLOURS = {"teacher": "#64748b", "baseline": "#a8b5c7", "student": "#0f766e"}
_STYLE: Any = {
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#94a3b8",
    "text.color": "#1e293b",
    "axes.labelcolor": "#475569",
    "xtick.color": "#475569",
    "ytick.color": "#475569",
    "svg.fonttype": "none",  # text stays text: selectable, and in the page's font
    "svg.hashsalt": "potstill",  # the same report gives the same bytes
}


def plot_scores(report: Report) -> str:
    """Return bars of every metric by model, with 95 % intervals."""
    names = list(report.models["teacher"].metrics)
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 2.7))
        for position, (model, result) in enumerate(report.models.items()):
            values = [result.metrics[name] for name in names]
            below = [
                max(0.0, interval.value - (interval.low if interval.low is not None else interval.value)) for interval in values
            ]
            above = [
                max(0.0, (interval.high if interval.high is not None else interval.value) - interval.value) for interval in values
            ]
            places = [index + 0.27 * (position - 1) for index in range(len(names))]
            heights = [interval.value for interval in values]
            axes.bar(places, heights, 0.25, yerr=[below, above], capsize=3, color=COLOURS[model], label=model, ecolor="#334155")
        axes.set_xticks(range(len(names)), [name.replace("_", "-") for name in names])
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.17), fontsize=9)
        return _svg(figure)


def plot_costs(report: Report) -> str:
    """Return bars of latency, peak memory and weights by model; a figure that is not known has a dash in place of its bar."""
    models = report.models.values()
    panels: list[tuple[str, list[float | None], float]] = [
        ("latency, ms", [result.serving.latency_seconds.value for result in models], 1e-3),
        ("peak memory, MiB", [result.serving.peak_memory_bytes for result in models], 2**20),
        ("weights, MiB", [result.serving.weight_bytes for result in models], 2**20),
    ]
    with plt.rc_context(_STYLE):
        figure, all_axes = plt.subplots(1, len(panels), figsize=(9.2, 2.6))
        for axes, (title, values, unit) in zip(all_axes, panels, strict=True):
            heights = [(value or 0.0) / unit for value in values]
            labels = [UNKNOWN if value is None else _figure(value / unit) for value in values]
            bars = axes.bar(list(report.models), heights, color=[COLOURS[model] for model in report.models])
            axes.bar_label(bars, labels, fontsize=9, padding=2)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.set_title(title, fontsize=10)
            axes.tick_params(axis="x", labelsize=8)
            axes.margins(y=0.15)
        return _svg(figure)


def plot_losses(metrics: Path) -> str:
    """Return the training and validation loss by step, and the parts of the former where it has two."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 2.7))
        _line(axes, rows, "loss", label="training", colour=COLOURS["student"], style="-")
        if any("kd_loss" in row for row in rows):
            _line(axes, rows, "ce_loss", label="cross-entropy", colour="#64748b", style=":")
            _line(axes, rows, "kd_loss", label="distillation", colour="#7c3aed", style=":")
        _line(axes, rows, "eval_loss", label="validation", colour="#b45309", style="o--")
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats per token")
        axes.set_ylim(bottom=0)
        if axes.lines:
            axes.legend(frameon=False, fontsize=9)
        return _svg(figure)


def _line(axes: Axes, rows: list[dict[str, float]], name: str, *, label: str, colour: str, style: str) -> None:
    points = {row["step"]: row[name] for row in rows if name in row}  # a resumed training logs some steps again
    if points:
        axes.plot(list(points), list(points.values()), style, color=colour, label=label, linewidth=1.5, markersize=4)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.tight_layout()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)  # the XML prologue has no place inside HTML
