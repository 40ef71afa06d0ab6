"""Trainings of seconds: forty rows with a teacher's candidates, a tiny student, and what its process is made to go through."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from safetensors.torch import load_file

from tasks.core.records import EXAMPLES, Example, with_logprobs
from tasks.core.tables import write_table
from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings
from tasks.training.job import TrainingJob
from tasks.training.settings import TrainingSettings
from tests.models import tiny_model, tiny_tokenizer

ROWS, WIDTH = 40, 4
COLOURS = ("hot", "cold", "mild")
LEARNING: dict[str, Any] = {
    "epochs": 3,  # of 8 steps each
    "learning_rate": 1e-2,
    "batch_size": 4,
    "precision": "float32",
    "runtime": {"device_batch_size": 2, "checkpoint_steps": 2, "grace_seconds": 30},
}


@dataclass
class Flat:
    """What an engine reports."""

    token_ids: list[int]
    logprobs: list[float]


def training_settings(**changes: Any) -> TrainingSettings:
    """Return quick settings with some changed: one level deep, ``runtime={"processes": 2}`` keeps the other fields."""
    merged = {**LEARNING}
    for name, value in changes.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainingSettings.model_validate(merged)


def example(number: int, **changes: Any) -> Example:
    """Return a row of forty: every fifth is for validation."""
    row: Any = {
        "id": str(number),
        "sample_index": 0,
        "turn": 0,
        "task": "CONVERSATION",
        "messages": [{"role": "user", "content": f"Batch {number}: {'x' * (number % 7)} is it {COLOURS[number % 3]}?"}],
        "text": None,
        "completion": f"it is {COLOURS[number % 3]}",
        "references": [],
        "split": "validation" if number % 5 == 0 else "train",
        "teacher": "teacher",
        "reasoning": None,
        "finish_reason": "stop",
        "token_ids": [],
        "reasons": [],
    }
    row.update(changes)
    return row


def with_candidates(row: Example, draws: int | None = None, width: int = WIDTH) -> Example:
    """Return a row with the tokens of its answer and a teacher's candidates at each: its own token and some others."""
    tokenizer: Any = tiny_tokenizer()
    tokens = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    rng = np.random.default_rng(int(row["id"]))
    others = [rng.choice([other for other in range(5, 300) if other != token], width - 1, replace=False) for token in tokens]
    ids = [identity for token, rest in zip(tokens, others, strict=True) for identity in (token, token, *rest.tolist())]
    logprobs = np.log([0.7, 0.7, *[0.2 / (width - 1)] * (width - 1)] * len(tokens)).tolist()
    settings = LogprobSettings(top_k=width, draws=draws)
    stored = from_flat(Flat(ids, logprobs), tokens, settings, rng)
    return {
        **row,
        "token_ids": tokens,
        "token_logprobs": stored.sampled,
        "top_ids": stored.top_ids,
        "top_logprobs": stored.top,
    }


def write_examples(path: Path, rows: list[Example]) -> Path:
    """Write rows as a dataset's file, with the columns of their candidates if they have some."""
    ids = rows[0].get("top_ids")
    write_table(path, with_logprobs(EXAMPLES, None if ids is None else ids.shape[1]), rows)
    return path


def make_job(folder: Path, settings: TrainingSettings, rows: list[Example] | None = None) -> TrainingJob:
    """Return the job of training a tiny model on forty rows that suit the method, beside a teacher of other weights."""
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    if rows is None:
        draws = 3 if settings.method == "sampled_kd" else None
        rows = [with_candidates(example(number), draws) for number in range(ROWS)]
    return TrainingJob(
        settings=settings,
        examples=write_examples(folder / EXAMPLES.file, rows),
        weights=tiny_model(folder / "start"),
        teacher=tiny_model(folder / "teacher", layers=3, seed=1),
        output=folder / "trained",
        workspace=workspace,
    )


def trained_weights(job: TrainingJob) -> dict[str, torch.Tensor]:
    """Return the student's weights by name."""
    return load_file(job.output / "model.safetensors")


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Return whether two models have the same weights, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def workers_of(job: TrainingJob, parent: int | None = None) -> list[psutil.Process]:
    """Return the training processes of a job that run, the launcher of several excepted."""
    found: list[psutil.Process] = []
    for child in psutil.Process(parent).children(recursive=True):
        try:
            line = child.cmdline()
        except psutil.Error:
            continue
        if "tasks.training.worker" in line and str(job.workspace / "job.json") in line and "tasks.training.torchrun" not in line:
            found.append(child)
    return found


def sealed_checkpoint(job: TrainingJob) -> Path | None:
    """Return a checkpoint that is whole, if there is one yet."""
    return next(job.checkpoints.glob("checkpoint-*/manifest.json"), None)


def make_trainer(job: TrainingJob) -> Any:
    """Return the trainer of a job, ready to train in this process; nothing is trained yet."""
    from tasks.trainers.hidden_states import HiddenStateTrainer, load_teacher
    from tasks.trainers.sampled_kd import SampledTrainer
    from tasks.trainers.sft import SftTrainer
    from tasks.trainers.topk_kd import TopkTrainer
    from tasks.training.session import build_answer_trainer

    settings = job.settings
    if settings.method == "sft":
        return build_answer_trainer(job, SftTrainer, weighted=bool(settings.teacher_weights))[0]
    if settings.method == "hidden_states":
        return build_answer_trainer(job, HiddenStateTrainer, teacher=load_teacher(job), matching=settings.hidden_states)[0]
    kind = SampledTrainer if settings.method == "sampled_kd" else TopkTrainer
    return build_answer_trainer(job, kind, distillation=settings.distillation)[0]


def loss_and_gradients(trainer: Any, rows: list[int], items: int | None = None) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss of some training rows in one forward pass, and every gradient by the parameter's name.

    Args:
        trainer: A trainer that ``make_trainer`` made.
        rows: Which rows.
        items: Answer tokens of the whole step; None: of these rows.
    """
    batch = trainer.data_collator([trainer.train_dataset[row] for row in rows])
    trainer.model.train().zero_grad()
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=None if items is None else torch.tensor(items))
    loss.backward()
    named = trainer.model.named_parameters()
    return loss.item(), {name: tensor.grad.clone() for name, tensor in named if tensor.grad is not None}


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float = 1e-6) -> None:
    """Compare gradients, each by its largest element."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=tolerance * max(tensor.abs().max().item(), 1e-3), msg=name)
