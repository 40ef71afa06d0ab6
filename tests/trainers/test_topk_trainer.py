"""What the trainers of stored candidates minimise, against a reference in float64 from the student's own logits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.core.logprobs import NO_PROBABILITY
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
CHOSEN = [0, 1, 2]


def trainer_of(folder: Path, missing: int = 0, **settings: Any) -> Any:
    """A trainer of rows whose candidates leave two fifths to other tokens; the first answer tokens may lack them."""
    draws = 3 if settings.get("method") == "sampled_kd" else None
    rows: list[Any] = [with_candidates(example(number, completion=ANSWERS[number % 3]), draws) for number in range(6)]
    for row in rows:
        row["top_logprobs"] += np.float16(np.log(0.6))
        row["top_ids"][:missing], row["top_logprobs"][:missing] = 0, NO_PROBABILITY
    return make_trainer(make_job(folder, training_settings(**{"method": "topk_kd", **settings}), rows))


def reference(trainer: Any, temperature: float = 1, tail: str = "bucket") -> tuple[Tensor, Tensor, Tensor]:
    """Return the divergence, the cross-entropy and whether candidates are known, at each counted token of the chosen rows.

    For draws, the divergence is the cross-entropy with their weights.
    """
    divergences, entropies, known = [], [], []
    for number in CHOSEN:
        row = trainer.train_dataset[number]
        logits = trainer.model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].double()
        places = [place for place, label in enumerate(row["labels"][1:]) if label != IGNORED]
        candidates = trainer.data_collator([row])
        for place, ids, logprobs in zip(places, candidates["top_ids"], candidates["top_logprobs"].double(), strict=True):
            q = (logits[place] / temperature).softmax(-1)
            p = logprobs[logprobs > NO_PROBABILITY].exp() ** (1 / temperature)
            q_of = q[ids[: len(p)]]
            if tail == "bucket":
                p, q_of = torch.cat([p, 1 - p.sum(0, keepdim=True)]), torch.cat([q_of, 1 - q_of.sum(0, keepdim=True)])
            elif tail == "renormalise":
                p, q_of = p / p.sum(), q_of / q_of.sum()
            divergences.append(-(p * q_of.log()).sum() if tail == "drawn" else (p * (p / q_of).log()).sum())
            entropies.append(-logits[place].log_softmax(-1)[row["labels"][place + 1]])
            known.append(bool((logprobs > NO_PROBABILITY).any()))
    return torch.stack(divergences), torch.stack(entropies), torch.tensor(known)


def assert_loss(trainer: Any, wanted: Tensor) -> None:
    """Compare the loss over the chosen rows, and all its gradients, with a reference."""
    trainer.model.zero_grad()
    wanted.backward()
    gradients = {name: tensor.grad.clone() for name, tensor in trainer.model.named_parameters() if tensor.grad is not None}
    loss, found = loss_and_gradients(trainer, CHOSEN)
    assert loss == pytest.approx(wanted.item(), rel=1e-4)
    assert_same_gradients(found, gradients, tolerance=1e-3)


@pytest.mark.parametrize("weight", [0, 0.7, 1])
@pytest.mark.parametrize(("temperature", "tail"), [(1, "bucket"), (1, "renormalise"), (2, "renormalise")])
def test_the_loss_mixes_divergence_and_cross_entropy(tmp_path: Path, weight: float, temperature: float, tail: str) -> None:
    trainer = trainer_of(tmp_path, distillation={"weight": weight, "temperature": temperature, "tail": tail})
    divergence, entropy, known = reference(trainer, temperature, tail)
    assert known.all()
    assert_loss(trainer, (weight * temperature**2 * divergence + (1 - weight) * entropy).mean())


def test_both_parts_are_logged_as_they_are_before_they_are_weighted(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, distillation={"weight": 0.7, "temperature": 2, "tail": "renormalise"})
    divergence, entropy, _ = reference(trainer, 2, "renormalise")
    loss_and_gradients(trainer, CHOSEN)
    logs = {"loss": 0.0}
    trainer.log(logs)
    assert logs["kd_loss"] == pytest.approx(divergence.mean().item(), rel=1e-4)
    assert logs["ce_loss"] == pytest.approx(entropy.mean().item(), rel=1e-4)


@pytest.mark.parametrize("method", ["topk_kd", "sampled_kd"])
def test_a_position_without_candidates_counts_as_plain_cross_entropy(tmp_path: Path, method: str) -> None:
    trainer = trainer_of(tmp_path, missing=1, method=method, distillation={"weight": 0.7})
    divergence, entropy, known = reference(trainer, tail="drawn" if method == "sampled_kd" else "bucket")
    assert (~known).sum() == len(CHOSEN)
    assert_loss(trainer, torch.where(known, 0.7 * divergence + 0.3 * entropy, entropy).mean())


@pytest.mark.parametrize("weight", [0.7, 1])
def test_draws_are_followed_by_the_cross_entropy_with_their_weights(tmp_path: Path, weight: float) -> None:
    trainer = trainer_of(tmp_path, method="sampled_kd", distillation={"weight": weight})
    divergence, entropy, _ = reference(trainer, tail="drawn")
    assert_loss(trainer, (weight * divergence + (1 - weight) * entropy).mean())


@pytest.mark.parametrize("method", ["topk_kd", "sampled_kd"])
def test_adapters_get_the_gradients_and_nothing_else_does(tmp_path: Path, method: str) -> None:
    trainer = trainer_of(tmp_path, method=method, lora={"rank": 4, "alpha": 8}, distillation={"weight": 0.7})
    divergence, entropy, _ = reference(trainer, tail="drawn" if method == "sampled_kd" else "bucket")
    assert_loss(trainer, (0.7 * divergence + 0.3 * entropy).mean())
    _, gradients = loss_and_gradients(trainer, CHOSEN)
    assert gradients
    assert all("lora_" in name for name in gradients)


def test_following_the_teacher_brings_its_candidates_closer(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=10, distillation={"weight": 1})
    before = reference(trainer)[0].mean().item()
    trainer.args.save_strategy = "no"
    trainer.train()
    assert reference(trainer)[0].mean().item() < before / 2
    losses = [row["kd_loss"] for row in trainer.state.log_history if "kd_loss" in row]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
