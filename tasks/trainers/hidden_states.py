"""Distillation of inner states: the student imitates the teacher's hidden states, attention relations or attention maps.

The teacher sits in memory beside the student and reads the same tokens. Cross-entropy with the answers goes on as in ``sft``.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tasks.core.errors import SettingsError
from tasks.training.answer_trainer import AnswerTrainer
from tasks.training.inner_states import (
    attention_distance,
    hidden_distance,
    projection_widths,
    relation_distance,
    watch_projections,
)
from tasks.training.job import TrainingJob
from tasks.training.loading import load_teacher
from tasks.training.session import run_answer_training
from tasks.training.settings import HiddenStateSettings

PROJECTIONS = "hidden_projections"
"""Attribute of the student that holds the learnt projections: its optimiser and its checkpoints see them, its export does not."""

LayerMap = list[tuple[int, int]]


class HiddenStateTrainer(AnswerTrainer):
    """Adds the distances between mapped layers to the loss of the answers.

    A row's distance is the mean over its tokens, prompt included, and counts once for each of its answer tokens: so the loss of a
    step does not depend on which rows share a forward pass.
    """

    def __init__(self, *args: Any, teacher: Any, matching: HiddenStateSettings, **kwargs: Any) -> None:
        """Prepare the training.

        Args:
            args: As AnswerTrainer takes them.
            teacher: The teacher's model, of the same tokenizer.
            matching: What is imitated.
            kwargs: As AnswerTrainer takes them; ``model`` gets the projections.

        Raises:
            SettingsError: If the layer map or the relation heads do not fit the models.
        """
        student = kwargs["model"]
        self._matching = matching
        self._layers = map_layers(matching, student.config.num_hidden_layers, teacher.config.num_hidden_layers)
        _require_heads(matching, student.config, teacher.config)
        if matching.hidden_weight:
            widths = student.config.hidden_size, teacher.config.hidden_size
            setattr(student, PROJECTIONS, _projections(len(self._layers), *widths, kwargs["args"].seed))
        self.wanted_outputs = {
            "output_hidden_states": matching.hidden_weight > 0,
            "output_attentions": matching.attention_weight > 0,
        }
        super().__init__(*args, **kwargs)
        teacher = teacher.eval().requires_grad_(requires_grad=False)
        self._teacher: Any = self.accelerator.prepare_model(teacher, evaluation_mode=True)
        self._captured: list[list[Tensor]] = []
        if matching.relation_weight:
            pair = zip((student, teacher), self._layers[-1], strict=True)
            self._captured = [watch_projections(model, layer) for model, layer in pair]

    def total_loss(self, output: Any, inputs: dict[str, Any], positions: Tensor, sums: dict[str, Tensor]) -> Tensor:
        """Return the answers' loss and, for every answer token, the mean distances; the distances are logged unweighted."""
        matching = self._matching
        with torch.no_grad():
            theirs = self._teacher.base_model(**inputs, **self.wanted_outputs, use_cache=False)
        together = _rows_of(inputs)
        share = (together & positions[:, None, :]).sum(-1) / together.sum(-1).clamp(min=1)
        loss = output["loss"]
        parts: dict[str, tuple[float, Tensor]] = {}
        if matching.hidden_weight:
            projections = getattr(self.accelerator.unwrap_model(self.model), PROJECTIONS)
            pairs = zip(projections, self._layers, strict=True)
            distances = [
                hidden_distance(project(output["hidden_states"][ours + 1]), theirs.hidden_states[other + 1], share)
                for project, (ours, other) in pairs
            ]
            parts["hidden_loss"] = matching.hidden_weight, torch.stack(distances).mean()
        if matching.relation_weight:
            ours, other = self._captured
            distance = relation_distance(ours, other, matching.relation_heads, together, share)
            parts["relation_loss"] = matching.relation_weight, distance
        if matching.attention_weight:
            maps = [
                attention_distance(output["attentions"][ours], theirs.attentions[other], together, share)
                for ours, other in self._layers
            ]
            parts["attention_loss"] = matching.attention_weight, torch.stack(maps).mean()
        for name, (weight, distance) in parts.items():
            loss = loss + weight * distance
            sums[name] = distance.detach()
        return loss


def map_layers(matching: HiddenStateSettings, ours: int, theirs: int) -> LayerMap:
    """Return which of the teacher's layers each of the student's imitates.

    Args:
        matching: The settings; without a map, layers are spread evenly and end at both last ones.
        ours: Layers of the student.
        theirs: Layers of the teacher.

    Raises:
        SettingsError: If the map names a layer that is not there.
    """
    if not matching.layer_map:
        return [(layer, max(round((layer + 1) * theirs / ours), 1) - 1) for layer in range(ours)]
    for layer, other in matching.layer_map:
        if not (0 <= layer < ours and 0 <= other < theirs):
            raise SettingsError(
                f"hidden_states.layer_map has the pair ({layer}, {other}), and the student has the layers 0 to {ours - 1}, the "
                f"teacher 0 to {theirs - 1}; mend the pair"
            )
    return list(matching.layer_map)


def _projections(count: int, ours: int, theirs: int, seed: int) -> nn.ModuleList:
    """Return one linear map a pair: the identity between equal widths, as a student cut from its teacher has, else orthogonal."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(ours, theirs, bias=False) for _ in range(count)]
        for layer in layers:
            (nn.init.eye_ if ours == theirs else nn.init.orthogonal_)(layer.weight)
    return nn.ModuleList(layers)


def _require_heads(matching: HiddenStateSettings, *configs: Any) -> None:
    for config in configs if matching.relation_weight else ():
        widths = projection_widths(config)
        if any(width % matching.relation_heads for width in widths):
            raise SettingsError(
                f"hidden_states.relation_heads is {matching.relation_heads} and must divide the widths {widths} of queries, keys "
                f"and values of {config.model_type}; give a number that divides all of them"
            )


def _rows_of(inputs: dict[str, Any]) -> Tensor:
    """Return which tokens belong to one row, [rows, tokens, tokens]; padding belongs to none."""
    if "attention_mask" in inputs:
        is_token = inputs["attention_mask"].bool()
        return is_token[:, :, None] & is_token[:, None, :]
    row = (inputs["position_ids"] == 0).cumsum(-1)  # rows laid end to end
    return row[:, :, None] == row[:, None, :]


def train(job: TrainingJob) -> bool:
    """Train as ``run_answer_training`` says, with the teacher in memory.

    Raises:
        SettingsError: If there is no teacher.
    """
    return run_answer_training(job, HiddenStateTrainer, teacher=load_teacher(job), matching=job.settings.hidden_states)
