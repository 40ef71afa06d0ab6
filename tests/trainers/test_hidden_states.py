"""The imitation of a teacher's inner states: which layers are paired, what is logged, and what is left out of the student."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.core.errors import SettingsError
from tasks.trainers.hidden_states import PROJECTIONS, map_layers
from tasks.training.export import export_student
from tasks.training.settings import HiddenStateSettings
from tests.trainings import example, loss_and_gradients, make_job, make_trainer, training_settings

EVERYTHING = {"hidden_weight": 1.0, "relation_weight": 1.0, "attention_weight": 1.0, "relation_heads": 4}
LOSSES = ("hidden_loss", "relation_loss", "attention_loss")


def distances(folder: Path, of_itself: bool = False, **matching: Any) -> dict[str, float]:
    """The distances of a batch as they are logged: between a student and another model as its teacher, or itself."""
    settings = training_settings(method="hidden_states", hidden_states={**EVERYTHING, **matching})
    job = make_job(folder, settings, [example(number) for number in range(6)])
    trainer = make_trainer(job.model_copy(update={"teacher": job.weights}) if of_itself else job)
    loss_and_gradients(trainer, [0, 1, 2])
    logs = {"loss": 0.0}
    trainer.log(logs)
    return logs


def test_all_distances_are_0_between_a_model_and_itself_and_positive_to_another(tmp_path: Path) -> None:
    itself = distances(tmp_path / "itself", of_itself=True)
    other = distances(tmp_path / "other")
    for name in LOSSES:
        assert itself[name] == pytest.approx(0, abs=1e-5), name
        assert other[name] > 0.01, name


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [(1, 5, [4]), (2, 3, [1, 2]), (3, 6, [1, 3, 5]), (4, 4, [0, 1, 2, 3]), (2, 1, [0, 0]), (5, 2, [0, 0, 0, 1, 1])],
)
def test_without_a_map_layers_are_spread_evenly_up_to_both_last_ones(ours: int, theirs: int, wanted: list[int]) -> None:
    assert map_layers(HiddenStateSettings(), ours, theirs) == list(enumerate(wanted))


def test_every_size_of_both_models_gets_a_map_that_rises_to_the_end() -> None:
    for ours in range(1, 40):
        for theirs in range(1, 40):
            found = [other for _, other in map_layers(HiddenStateSettings(), ours, theirs)]
            assert found == sorted(found)
            assert 0 <= found[0] <= found[-1] == theirs - 1
            assert len(set(found)) == min(ours, theirs) or ours > theirs


@pytest.mark.parametrize("pair", [(2, 0), (0, 3), (-1, 0)])
def test_a_map_of_layers_that_are_not_there_is_refused(pair: tuple[int, int]) -> None:
    assert map_layers(HiddenStateSettings(layer_map=((1, 2),)), 2, 3) == [(1, 2)]
    with pytest.raises(SettingsError, match=r"student has the layers 0 to 1, the teacher 0 to 2; mend the pair"):
        map_layers(HiddenStateSettings(layer_map=(pair,)), 2, 3)


def test_relation_heads_that_do_not_divide_the_widths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"relation_heads is 12 and must divide the widths \[128, 64, 64\]"):
        distances(tmp_path, relation_heads=12)


def test_projections_are_trained_and_are_no_part_of_the_student(tmp_path: Path) -> None:
    job = make_job(tmp_path, training_settings(method="hidden_states"), [example(number) for number in range(6)])
    trainer = make_trainer(job)
    trainer.args.save_strategy = "no"
    trainer.train()
    trainer.save_model(str(tmp_path / "last"))
    export_student(tmp_path / "last", job)
    last = load_file(tmp_path / "last" / "model.safetensors")
    projections = {name for name in last if name.startswith(PROJECTIONS)}
    assert len(projections) == 2
    assert all(not torch.equal(last[name], torch.eye(len(last[name]))) for name in projections)
    student = load_file(job.output / "model.safetensors")
    assert student.keys() == last.keys() - projections == load_file(job.weights / "model.safetensors").keys()
    assert all(torch.equal(tensor, last[name]) for name, tensor in student.items())
