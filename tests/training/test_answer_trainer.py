"""The loss over answer tokens: TRL's own for equal weights, and the same however a step's rows are divided or laid out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.training.training_rows import IGNORED
from tests.trainings import (
    assert_same_gradients,
    example,
    loss_and_gradients,
    make_job,
    make_trainer,
    training_settings,
    with_candidates,
)

ANSWERS = ("hot", "it is cold", "nobody knows how mild it is")
EVERYTHING = {"hidden_weight": 1.0, "relation_weight": 0.5, "attention_weight": 0.5, "relation_heads": 4}
METHODS: dict[str, dict[str, Any]] = {
    "sft": {},
    "topk_kd": {"method": "topk_kd"},
    "hidden_states": {"method": "hidden_states", "hidden_states": EVERYTHING},
}
each_method = pytest.mark.parametrize("method", METHODS)


def rows_of(count: int, **changes: Any) -> list[Any]:
    """Rows of several lengths, of which every fifth is for validation; their teachers take turns."""
    teachers = ("one", "other")
    return [
        with_candidates(example(number, completion=ANSWERS[number % 3], teacher=teachers[number % 2], **changes))
        for number in range(count)
    ]


def trainer_of(folder: Path, rows: list[Any] | None = None, **settings: Any) -> Any:
    return make_trainer(make_job(folder, training_settings(**settings), rows_of(6) if rows is None else rows))


def token_losses(trainer: Any, row: dict[str, Any]) -> Tensor:
    """Cross-entropy of a row's counted tokens, by the model's own forward pass."""
    ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"][1:])
    with torch.no_grad():
        logits = trainer.model(input_ids=ids).logits[0, :-1].float()
    return nn.functional.cross_entropy(logits, labels, reduction="none")[labels != IGNORED]


@pytest.mark.parametrize("items", [None, 57], ids=["one micro-batch", "a step of several micro-batches"])
def test_the_loss_of_sft_is_trls_own(tmp_path: Path, items: int | None) -> None:
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    ours = trainer_of(tmp_path)
    arguments = SFTConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", bf16=False, max_length=None)
    theirs: Any = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tmp_path / "start"),
        args=arguments,
        train_dataset=ours.train_dataset,
        processing_class=ours.processing_class,
    )
    loss, gradients = loss_and_gradients(ours, [0, 1, 2], items)
    wanted_loss, wanted = loss_and_gradients(theirs, [0, 1, 2], items)
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    assert_same_gradients(gradients, wanted, tolerance=1e-5)
    assert gradients["model.layers.0.self_attn.q_proj.weight"].abs().max() > 1e-3


def test_a_rows_weight_multiplies_the_losses_of_its_tokens(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, teacher_weights={"one": 0.25, "other": 3})
    rows = [trainer.train_dataset[row] for row in (0, 1, 2)]
    losses = [token_losses(trainer, row) for row in rows]
    wanted = sum(float(loss.sum()) * weight for loss, weight in zip(losses, (3, 0.25, 3), strict=True))
    loss, gradients = loss_and_gradients(trainer, [0, 1, 2])
    assert loss == pytest.approx(wanted / sum(map(len, losses)), rel=1e-5)
    apart = [loss_and_gradients(trainer, [row], items=sum(map(len, losses)))[1] for row in (0, 1, 2)]
    assert_same_gradients(
        gradients, {name: torch.stack([each[name] for each in apart]).sum(0) for name in gradients}, tolerance=1e-5
    )


@each_method
def test_a_step_is_the_same_however_its_rows_are_divided_into_forward_passes(tmp_path: Path, method: str) -> None:
    steps: list[tuple[float, float, dict[str, Tensor]]] = []
    for device_batch in (1, 2, 4):
        trainer = trainer_of(
            tmp_path / str(device_batch),
            rows_of(4, split="train"),
            **METHODS[method],
            epochs=1,
            warmup_ratio=0,
            teacher_weights={"one": 0.5},
            runtime={"device_batch_size": device_batch},
        )
        trainer.args.logging_steps, trainer.args.save_strategy = 1, "no"
        start = {name: tensor.detach().clone() for name, tensor in trainer.model.named_parameters()}
        trainer.train()
        assert trainer.state.global_step == 1
        logged = next(row for row in trainer.state.log_history if "loss" in row)
        moved = {name: tensor.detach() - start[name] for name, tensor in trainer.model.named_parameters()}
        steps.append((logged["loss"], logged["grad_norm"], moved))
    for loss, norm, moved in steps[1:]:
        assert loss == pytest.approx(steps[0][0], rel=1e-5)
        assert norm == pytest.approx(steps[0][1], rel=1e-4)
        for name, change in moved.items():  # the optimiser's first step makes much of the rounding of a gradient near 0
            assert (change - steps[0][2][name]).abs().mean() < 1e-3 * change.abs().mean(), name


@each_method
def test_packed_rows_have_the_loss_and_the_gradients_of_padded_ones(tmp_path: Path, method: str) -> None:
    padded, packed = (
        loss_and_gradients(trainer_of(tmp_path / str(packing), **METHODS[method], packing=packing), [0, 1, 2, 3])
        for packing in (False, True)
    )
    assert packed[0] == pytest.approx(padded[0], rel=1e-5)
    assert_same_gradients(packed[1], padded[1], tolerance=2e-5)


@each_method
def test_recomputed_activations_give_the_same_gradients(tmp_path: Path, method: str) -> None:
    trainer = trainer_of(tmp_path, **METHODS[method])
    kept = loss_and_gradients(trainer, [0, 1, 2])
    trainer.model.gradient_checkpointing_enable()
    recomputed = loss_and_gradients(trainer, [0, 1, 2])
    assert trainer.model.is_gradient_checkpointing
    assert recomputed[0] == pytest.approx(kept[0], rel=1e-6)
    assert_same_gradients(recomputed[1], kept[1])


@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
def test_an_evaluation_tells_loss_and_accuracy_of_the_validation_rows(tmp_path: Path, packing: bool) -> None:
    trainer = trainer_of(tmp_path, rows_of(21), packing=packing, batch_size=8, runtime={"device_batch_size": 8})
    rows = list(trainer.eval_dataset)
    losses = torch.cat([token_losses(trainer, row) for row in rows])
    figures = trainer.evaluate()
    assert len(rows) == 5
    assert figures["eval_loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    assert figures["eval_ce_loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    right = 0
    for row in rows:
        labels = torch.tensor(row["labels"][1:])
        guessed = trainer.model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].argmax(-1)
        right += int((guessed == labels).sum())
    assert figures["eval_mean_token_accuracy"] == pytest.approx(right / len(losses))
