"""The loss curve: what a training logged, as an SVG file that needs nothing else."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tasks.renderers.charts.losses import loss_lines, plot_losses
from tasks.renderers.charts.standalone import standalone


def logged(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_training_and_validation_have_a_line_each(tmp_path: Path) -> None:
    lines = loss_lines(
        logged(tmp_path, {"step": 0}, {"step": 5, "loss": 2.0}, {"step": 10, "loss": 1.0}, {"step": 10, "eval_loss": 1.5})
    )

    assert [(line.name, line.points) for line in lines] == [("training", [(5, 2.0), (10, 1.0)]), ("validation", [(10, 1.5)])]


def test_a_loss_of_two_parts_shows_both(tmp_path: Path) -> None:
    lines = loss_lines(logged(tmp_path, {"step": 1, "loss": 3.0, "ce_loss": 1.0, "kd_loss": 2.0}))

    assert [line.name for line in lines] == ["training", "cross-entropy", "distillation"]


def test_a_step_that_a_resumed_training_logged_again_counts_once(tmp_path: Path) -> None:
    [line] = loss_lines(logged(tmp_path, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}))

    assert line.points == [(1, 3.0), (2, 2.0)]


def test_the_file_is_whole_svg_with_its_own_colours(tmp_path: Path) -> None:
    text = standalone(plot_losses(logged(tmp_path, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0})))

    drawn = ElementTree.fromstring(text)
    assert drawn.tag.endswith("svg") and drawn.get("viewBox")
    assert "--accent" in text and "training" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_training_that_logged_no_loss_says_so(tmp_path: Path) -> None:
    assert "nothing was recorded" in plot_losses(logged(tmp_path, {"step": 0, "max_steps": 2}))
