"""Why ids are drawn: what a student learns of a long-tailed teacher from its likeliest candidates, and from drawn ones.

The student is a table of free logits, so whatever it does not learn is the fault of its target.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings
from tasks.training.divergences import sampled_cross_entropy, sparse_divergence
from tasks.training.settings import DistillationSettings

VOCABULARY, HEAD, STEPS = 50, 8, 400


def long_tailed() -> np.ndarray:
    """A teacher that has about half of its mass beyond its likeliest eight tokens, unevenly spread."""
    weights = 1 / np.arange(1, VOCABULARY + 1) ** 0.8
    return np.random.default_rng(0).permutation(weights / weights.sum())


TEACHER = long_tailed()
LIKELIEST = np.argsort(-TEACHER)
TRUE = torch.tensor(TEACHER)


def top_k() -> tuple[Tensor, Tensor]:
    """The likeliest candidates as they are stored, at one position."""
    ids = torch.tensor(LIKELIEST[None, :HEAD])
    return ids, TRUE[ids].log().half().float()


def drawn(positions: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Fresh draws as they are stored: answers are sampled from the teacher, and its engine reports its likeliest candidates."""
    sampled = rng.choice(VOCABULARY, size=positions, p=TEACHER)
    reported = np.concatenate([sampled[:, None], np.tile(LIKELIEST[:HEAD], (positions, 1))], axis=1)
    flat: Any = SimpleNamespace(token_ids=reported.reshape(-1).tolist(), logprobs=np.log(TEACHER[reported]).reshape(-1).tolist())
    kept = from_flat(flat, sampled.tolist(), LogprobSettings(top_k=HEAD, draws=12), rng)
    return torch.from_numpy(kept.top_ids.astype(np.int64)), torch.from_numpy(kept.top.astype(np.float32))


def learn(loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the distribution of a student that starts even and follows a loss of its log-probabilities."""
    logits = torch.zeros(VOCABULARY, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(logits.log_softmax(-1)).backward()
        optimizer.step()
        schedule.step()
    return logits.detach().softmax(-1).double()


def learn_top_k(settings: DistillationSettings) -> Tensor:
    ids, logprobs = top_k()
    return learn(lambda log_q: sparse_divergence(log_q[None], ids, logprobs, settings).sum())


def distance(student: Tensor) -> float:
    """Total variation distance from the true teacher."""
    return float((student - TRUE).abs().sum() / 2)


def head(distribution: Tensor) -> Tensor:
    return distribution[LIKELIEST[:HEAD].copy()]


def test_candidates_as_if_they_were_all_the_teacher_says_make_a_student_too_sure() -> None:
    ids, logprobs = top_k()
    student = learn(lambda log_q: sampled_cross_entropy(log_q[None], ids, logprobs.log_softmax(-1)).sum())
    assert distance(student) > 0.4
    assert float(head(student).sum()) > 0.95
    assert (head(student) > 1.8 * head(TRUE)).all()


def test_both_renormalised_teach_the_proportions_of_the_head_and_not_how_much_lies_beyond() -> None:
    student = learn_top_k(DistillationSettings(tail="renormalise"))
    torch.testing.assert_close(head(student) / head(student).sum(), head(TRUE) / head(TRUE).sum(), rtol=0.01, atol=0)
    assert abs(float(head(student).sum() - head(TRUE).sum())) > 0.1
    assert distance(student) > 0.1


def test_candidates_and_a_bucket_teach_the_head_and_how_much_lies_beyond_but_not_where() -> None:
    student = learn_top_k(DistillationSettings(tail="bucket"))
    torch.testing.assert_close(head(student), head(TRUE), rtol=0.01, atol=0)
    tail = student[LIKELIEST[HEAD:].copy()]
    torch.testing.assert_close(tail, ((1 - head(TRUE).sum()) / (VOCABULARY - HEAD)).expand_as(tail), rtol=0.01, atol=0)
    assert 0.05 < distance(student) < 0.1


def test_drawn_ids_teach_the_whole_teacher() -> None:
    rng = np.random.default_rng(1)
    student = learn(lambda log_q: sampled_cross_entropy(log_q.expand(128, -1), *drawn(128, rng)).mean())
    assert distance(student) < 0.025


def test_the_gradient_of_drawn_ids_is_on_average_the_dense_one_and_that_of_candidates_is_not() -> None:
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(2)).expand(20_000, -1).clone().requires_grad_()
    log_q = logits.log_softmax(-1)
    dense = (log_q[0].exp() - TRUE).detach()

    ids, log_weights = drawn(len(logits), np.random.default_rng(2))
    slopes = torch.autograd.grad(sampled_cross_entropy(log_q, ids, log_weights).sum(), logits, retain_graph=True)[0].double()
    error = slopes.std(0) / len(slopes) ** 0.5
    assert error.max() < 0.005
    assert ((slopes.mean(0) - dense).abs() / error).max() < 4.5

    ids, logprobs = top_k()
    renormalised = sparse_divergence(log_q[:1], ids, logprobs, DistillationSettings(tail="renormalise"))
    truncated = sampled_cross_entropy(log_q[:1], ids, logprobs.log_softmax(-1))
    for loss in (renormalised, truncated):
        biased = torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0][0]
        assert (biased - dense).abs().max() > 0.02
        assert ((biased - dense).abs() / error).max() > 20
