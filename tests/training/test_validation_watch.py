"""The best weights so far are kept and travel with checkpoints, and patience outlasts a resumed training."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from tasks.training.settings import ValidationSettings
from tasks.training.validation_watch import ValidationWatch, kept_best
from tests.trainings import are_equal, example, make_job, make_trainer, training_settings

SEEN = [3.0, 2.0, 2.5, 1.95, 2.1, 2.2]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer whose model is changed and evaluated by hand."""
    rows = [example(number) for number in range(6)]
    return make_trainer(make_job(tmp_path_factory.mktemp("watched"), training_settings(), rows))


def state_at(evaluations: int, losses: list[float] = SEEN) -> TrainerState:
    """The Trainer's state after so many evaluations, ten steps apart, with other logs between them."""
    history: list[dict[str, float]] = []
    for number, loss in enumerate(losses[:evaluations], start=1):
        history += [{"step": number * 10, "loss": 9.0}, {"step": number * 10, "eval_loss": loss, "eval_ce_loss": 0.0}]
    return TrainerState(global_step=evaluations * 10, max_steps=100, log_history=history)


def evaluate(watch: ValidationWatch, trainer: Any, evaluations: int, losses: list[float] = SEEN) -> TrainerControl:
    control = TrainerControl()
    watch.on_evaluate(trainer.args, state_at(evaluations, losses), control)
    return control


def kept_step(watch: ValidationWatch) -> int | None:
    best = watch.best_weights()
    return None if best is None else json.loads((best / "step.json").read_text())["step"]


def test_the_weights_of_the_lowest_loss_are_kept(tmp_path: Path, trainer: Any) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings())
    assert watch.best_weights() is None
    head = trainer.model.lm_head.weight
    kept, at_each = [], []
    for evaluations in range(1, len(SEEN) + 1):
        head.data.fill_(evaluations)
        evaluate(watch, trainer, evaluations)
        kept.append(kept_step(watch))
        at_each.append(load_file(tmp_path / "best" / "model.safetensors")["lm_head.weight"].unique().item())
    assert kept == [10, 20, 20, 40, 40, 40]
    assert at_each == [1, 2, 2, 4, 4, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best"]


def test_only_an_improvement_by_more_than_the_least_counts(tmp_path: Path, trainer: Any) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings(min_improvement=0.1))
    for evaluations in range(1, len(SEEN) + 1):
        evaluate(watch, trainer, evaluations)
    assert kept_step(watch) == 20, "1.95 is lower than 2.0 by too little"


@pytest.mark.parametrize(
    ("settings", "ends_at"),
    [({"patience": 2}, 6), ({"patience": 3, "min_improvement": 0.1}, 5), ({"patience": 3}, None), ({}, None)],
)
def test_patience_counts_evaluations_since_the_last_improvement(
    tmp_path: Path, trainer: Any, settings: dict[str, Any], ends_at: int | None
) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings(**settings))
    ends = [each for each in range(1, len(SEEN) + 1) if evaluate(watch, trainer, each).should_training_stop]
    assert (ends[0] if ends else None) == ends_at
    resumed = ValidationWatch(trainer, tmp_path / "resumed", ValidationSettings(**settings))
    assert evaluate(resumed, trainer, len(SEEN)).should_training_stop is (ends_at is not None), "read off the history alone"


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path, trainer: Any) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings(patience=2))
    nan = [float("nan")] * 3
    assert not evaluate(watch, trainer, 1, nan).should_training_stop
    assert evaluate(watch, trainer, 2, nan).should_training_stop
    assert watch.best_weights() is None


def test_the_last_weights_are_kept_where_the_best_are_not_asked_for(tmp_path: Path, trainer: Any) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings(keep="last", patience=2))
    ends = [evaluate(watch, trainer, each).should_training_stop for each in range(1, len(SEEN) + 1)]
    assert ends[-1], "patience holds all the same"
    assert watch.best_weights() is None
    assert not (tmp_path / "best").exists()


def test_a_checkpoint_brings_the_best_weights_back_and_a_new_start_has_none(tmp_path: Path, trainer: Any) -> None:
    watch = ValidationWatch(trainer, tmp_path / "best", ValidationSettings())
    evaluate(watch, trainer, 2)
    shutil.copytree(tmp_path / "best", kept_best(tmp_path / "checkpoint"))
    saved = load_file(tmp_path / "best" / "model.safetensors")
    trainer.model.lm_head.weight.data.fill_(7)
    evaluate(watch, trainer, 4)
    assert kept_step(watch) == 40
    watch.restore(tmp_path / "checkpoint")
    assert kept_step(watch) == 20
    assert are_equal(load_file(tmp_path / "best" / "model.safetensors"), saved)
    watch.restore(None)
    assert watch.best_weights() is None


@pytest.mark.parametrize(("step", "due"), [(99, False), (100, True)])
def test_the_last_step_is_evaluated_too(tmp_path: Path, trainer: Any, step: int, due: bool) -> None:
    watch, control = ValidationWatch(trainer, tmp_path / "best", ValidationSettings()), TrainerControl()
    watch.on_step_end(trainer.args, TrainerState(global_step=step, max_steps=100), control)
    assert control.should_evaluate is due
