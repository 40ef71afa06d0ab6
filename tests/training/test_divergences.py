"""Losses on stored candidates equal a dense reference in value and gradient, and stay finite at the edges of float16."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from tasks.core.logprobs import NO_PROBABILITY
from tasks.training.divergences import sampled_cross_entropy, sparse_divergence
from tasks.training.settings import DistillationSettings

VOCABULARY, POSITIONS = 40, 6
Divergence = Literal["forward_kl", "reverse_kl", "jsd"]
Tail = Literal["bucket", "renormalise"]
DIVERGENCES: tuple[Divergence, ...] = ("forward_kl", "reverse_kl", "jsd")
TAILS: tuple[tuple[Tail, float], ...] = (("bucket", 1.0), ("renormalise", 1.0), ("renormalise", 2.0), ("renormalise", 0.7))
SETTINGS = [
    DistillationSettings(divergence=divergence, tail=tail, temperature=temperature, jsd_beta=0.3)
    for divergence in DIVERGENCES
    for tail, temperature in TAILS
]
each_setting = pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.divergence}-{s.tail}-{s.temperature}")
each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES)


def logits_of(seed: int, scale: float = 2.0, positions: int = POSITIONS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(positions, VOCABULARY, generator=generator, dtype=torch.float64)


def candidates(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the likeliest ids of a teacher and their log-probabilities."""
    logprobs, ids = logits.log_softmax(-1).topk(k)
    return ids, logprobs


def padded(ids: Tensor, logprobs: Tensor, places: int = 3) -> tuple[Tensor, Tensor]:
    """The same candidates with unused places behind them, as they are stored."""
    unused = torch.full((len(ids), places), NO_PROBABILITY, dtype=logprobs.dtype)
    return torch.cat([ids, torch.zeros(len(ids), places, dtype=torch.int64)], -1), torch.cat([logprobs, unused], -1)


def divergence_of(logits: Tensor, ids: Tensor, logprobs: Tensor, settings: DistillationSettings) -> Tensor:
    return sparse_divergence((logits / settings.temperature).log_softmax(-1), ids, logprobs, settings)


def gradient(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits).sum(), logits)[0]


def kl(a: Tensor, b: Tensor) -> Tensor:
    return sum((x * (x / y).log() for x, y in zip(a, b, strict=True) if x > 0), torch.zeros((), dtype=torch.float64))


def reference(logits: Tensor, ids: Tensor, logprobs: Tensor, settings: DistillationSettings) -> Tensor:
    """The definition, in float64, one position and one outcome at a time."""
    values = []
    for row, tokens, known in zip(logits.double(), ids.tolist(), logprobs.double(), strict=True):
        q = (row / settings.temperature).softmax(-1)
        stored = {token: known[place] for place, token in enumerate(tokens) if known[place] > NO_PROBABILITY}
        p_of = torch.stack(list(stored.values())).exp()
        q_of = q[list(stored)]
        if settings.tail == "bucket":
            others = [token for token in range(VOCABULARY) if token not in stored]
            p_of = torch.cat([p_of, (1 - p_of.sum()).clamp(min=0).reshape(1)])
            q_of = torch.cat([q_of, q[others].sum().reshape(1)])
        else:
            p_of = p_of ** (1 / settings.temperature)
            p_of, q_of = p_of / p_of.sum(), q_of / q_of.sum()
        if settings.divergence == "jsd":
            mixture = settings.jsd_beta * p_of + (1 - settings.jsd_beta) * q_of
            values.append(settings.jsd_beta * kl(p_of, mixture) + (1 - settings.jsd_beta) * kl(q_of, mixture))
        else:
            values.append(kl(p_of, q_of) if settings.divergence == "forward_kl" else kl(q_of, p_of))
    return torch.stack(values)


def full(divergence: Divergence, student: Tensor, teacher: Tensor, beta: float = 0.5) -> Tensor:
    """The divergence over the whole vocabulary."""
    p, q = teacher.softmax(-1), student.softmax(-1)
    m = beta * p + (1 - beta) * q
    forward, reverse = (p * (p / q).log()).sum(-1), (q * (q / p).log()).sum(-1)
    jsd = beta * (p * (p / m).log()).sum(-1) + (1 - beta) * (q * (q / m).log()).sum(-1)
    return {"forward_kl": forward, "reverse_kl": reverse, "jsd": jsd}[divergence]


@each_setting
def test_values_and_gradients_are_those_of_the_definition(settings: DistillationSettings) -> None:
    student, (ids, logprobs) = logits_of(1), padded(*candidates(logits_of(2), 8))
    single = divergence_of(student.float(), ids, logprobs.float(), settings)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), reference(student, ids, logprobs, settings), rtol=1e-5, atol=1e-6)
    found = gradient(lambda z: divergence_of(z, ids, logprobs.float(), settings), student.float())
    wanted = gradient(lambda z: reference(z, ids, logprobs, settings), student)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-6)


@each_setting
def test_gradients_are_those_of_finite_differences(settings: DistillationSettings) -> None:
    student, (ids, logprobs) = logits_of(3, positions=2), padded(*candidates(logits_of(4, positions=2), 5))
    assert torch.autograd.gradcheck(lambda z: divergence_of(z, ids, logprobs, settings), student.requires_grad_())


@each_divergence
@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
def test_with_the_whole_vocabulary_it_is_the_full_divergence(divergence: Divergence, tail: Tail) -> None:
    settings = DistillationSettings(divergence=divergence, tail=tail)
    student, teacher = logits_of(5), logits_of(6)
    ids, logprobs = candidates(teacher, VOCABULARY)
    single = divergence_of(student.float(), ids, logprobs.float(), settings)
    torch.testing.assert_close(single.double(), full(divergence, student, teacher), rtol=2e-5, atol=1e-5)
    found = gradient(lambda z: divergence_of(z, ids, logprobs.float(), settings), student.float())
    torch.testing.assert_close(found.double(), gradient(lambda z: full(divergence, z, teacher), student), rtol=1e-4, atol=5e-6)


@each_divergence
def test_the_bucket_never_overstates_the_full_divergence(divergence: Divergence) -> None:
    settings = DistillationSettings(divergence=divergence)
    for seed in range(60):
        student, teacher = logits_of(2 * seed, scale=0.1 + seed % 6), logits_of(2 * seed + 1, scale=0.1 + seed % 4)
        found = divergence_of(student, *candidates(teacher, 1 + seed % 20), settings)
        assert (found >= -1e-6).all()
        assert (found <= full(divergence, student, teacher) + 1e-6).all()


@each_setting
def test_the_true_teacher_is_an_optimum(settings: DistillationSettings) -> None:
    teacher = logits_of(7)
    ids, logprobs = candidates(teacher, 6)
    torch.testing.assert_close(
        divergence_of(teacher, ids, logprobs, settings), torch.zeros(POSITIONS).double(), atol=1e-9, rtol=0
    )
    slope = gradient(lambda z: divergence_of(z, ids, logprobs, settings), teacher)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-9, rtol=0)


@each_divergence
def test_only_the_bucket_sees_that_a_student_neglects_the_tail(divergence: Divergence) -> None:
    teacher = logits_of(8, scale=1.0)
    ids, logprobs = candidates(teacher, 6)
    student = teacher.clone().scatter_add(-1, ids, torch.full(ids.shape, 5.0).double())
    assert (divergence_of(student, ids, logprobs, DistillationSettings(divergence=divergence)) > 0.05).all()
    blind = DistillationSettings(divergence=divergence, tail="renormalise")
    assert (divergence_of(student, ids, logprobs, blind).abs() < 1e-9).all()


def test_jsd_goes_from_forward_kl_to_reverse_kl_as_the_teacher_weighs_more() -> None:
    student, (ids, logprobs) = logits_of(9), candidates(logits_of(10), 8)
    near_forward, near_reverse, forward, reverse = (
        divergence_of(student, ids, logprobs, settings)
        for settings in (
            DistillationSettings(divergence="jsd", jsd_beta=1e-6),
            DistillationSettings(divergence="jsd", jsd_beta=1 - 1e-6),
            DistillationSettings(divergence="forward_kl"),
            DistillationSettings(divergence="reverse_kl"),
        )
    )
    torch.testing.assert_close(near_forward / 1e-6, forward, rtol=1e-3, atol=0)
    torch.testing.assert_close(near_reverse / 1e-6, reverse, rtol=1e-3, atol=0)


@each_setting
@pytest.mark.parametrize("zero_is_stored", [True, False])
def test_unused_places_contribute_nothing(settings: DistillationSettings, zero_is_stored: bool) -> None:
    student, teacher = logits_of(11).float(), logits_of(12)
    student[:, 0] += 6  # the student is nearly sure of id 0, which stands in unused places
    teacher[:, 0] = 8.0 if zero_is_stored else -8.0
    ids, logprobs = candidates(teacher, 6)
    assert (ids == 0).any() == zero_is_stored
    plain, more = (ids, logprobs.float()), padded(ids, logprobs.float(), places=5)
    torch.testing.assert_close(divergence_of(student, *more, settings), divergence_of(student, *plain, settings))
    slopes = [gradient(lambda z, stored=stored: divergence_of(z, *stored, settings), student) for stored in (plain, more)]
    torch.testing.assert_close(slopes[1], slopes[0])


@each_setting
def test_a_position_without_candidates_has_no_loss_and_no_gradient(settings: DistillationSettings) -> None:
    nothing = torch.zeros(POSITIONS, 0, dtype=torch.int64), torch.zeros(POSITIONS, 0)
    stored = padded(*nothing, places=4)
    student = logits_of(13).float()
    assert divergence_of(student, *stored, settings).abs().max() < 1e-6
    assert gradient(lambda z: divergence_of(z, *stored, settings), student).abs().max() < 1e-6


@each_setting
def test_candidates_that_float16_rounds_to_more_than_all_probability_are_harmless(settings: DistillationSettings) -> None:
    teacher = logits_of(14, scale=3.0, positions=64)
    ids, logprobs = candidates(teacher, VOCABULARY - 1)
    rounded = logprobs.half().float()
    over = rounded.exp().sum(-1) > 1 + 1e-5
    assert over.sum() > 5
    ids, rounded, same = ids[over], rounded[over], teacher[over].float()
    other = logits_of(15, positions=64)[over].float()
    for student in (same, other):
        assert divergence_of(student, ids, rounded, settings).isfinite().all()
        assert gradient(lambda z: divergence_of(z, ids, rounded, settings), student).isfinite().all()
    assert (divergence_of(same, ids, rounded, settings) > -1e-5).all()
    assert (divergence_of(same, ids, rounded, settings) < 1e-2).all()
    assert gradient(lambda z: divergence_of(z, ids, rounded, settings), same).abs().max() < 1e-2


@each_setting
def test_a_teacher_that_is_sure_of_one_token_gives_finite_losses(settings: DistillationSettings) -> None:
    student, ids = logits_of(16).float(), candidates(logits_of(17), 4)[0]
    sure = torch.tensor([0.0, -40.0, -500.0, -60000.0]).expand(POSITIONS, 4)
    found = divergence_of(student, ids, sure, settings)
    assert found.isfinite().all()
    assert gradient(lambda z: divergence_of(z, ids, sure, settings), student).isfinite().all()
    if settings.divergence == "forward_kl" and settings.tail == "bucket":
        own = -student.log_softmax(-1).gather(-1, ids[:, :1]).squeeze(-1)
        torch.testing.assert_close(found, own, rtol=1e-4, atol=2e-5)


@each_divergence
@pytest.mark.parametrize("gap", [20.0, 100.0, 10000.0])
def test_a_student_without_a_tail_gives_finite_losses(divergence: Divergence, gap: float) -> None:
    settings = DistillationSettings(divergence=divergence)
    teacher = logits_of(18, scale=1.0)
    ids, logprobs = candidates(teacher, 6)
    student = logits_of(19).float().scatter_add(-1, ids, torch.full(ids.shape, gap))
    assert divergence_of(student, ids, logprobs.float(), settings).isfinite().all()
    slope = gradient(lambda z: divergence_of(z, ids, logprobs.float(), settings), student)
    assert slope.isfinite().all()
    assert slope.abs().max() < 2


def test_a_student_whose_tail_float32_cannot_see_is_still_pushed_towards_it() -> None:
    teacher = logits_of(20, scale=0.5)
    ids, logprobs = candidates(teacher, 6)
    student = teacher.float().scatter_add(-1, ids, torch.full(ids.shape, 18.0))
    outside = torch.ones_like(student).scatter(-1, ids, 0)
    assert (student.double().softmax(-1) * outside).sum(-1).max() < 5e-7
    slope = gradient(lambda z: divergence_of(z, ids, logprobs.float(), DistillationSettings()), student)
    assert ((slope * outside).sum(-1) < -1e-3).all()


def test_the_cross_entropy_with_all_tokens_at_their_probability_is_the_dense_one() -> None:
    student, teacher = logits_of(21), logits_of(22)
    ids, logprobs = padded(*candidates(teacher, VOCABULARY))

    def sparse(logits: Tensor) -> Tensor:
        return sampled_cross_entropy(logits.log_softmax(-1), ids, logprobs.to(logits.dtype))

    def dense(logits: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits, teacher.softmax(-1), reduction="none")

    torch.testing.assert_close(sparse(student.float()).double(), dense(student), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient(sparse, student.float()).double(), gradient(dense, student), rtol=1e-4, atol=1e-6)


def test_drawn_ids_count_by_their_weight_and_unused_places_not_at_all() -> None:
    log_q = torch.tensor([[0.5, 0.3, 0.1, 0.1]]).log().requires_grad_()
    ids, log_weights = torch.tensor([[3, 1, 0, 0]]), torch.tensor([[0.0, 0.75, NO_PROBABILITY, NO_PROBABILITY]])
    log_weights[0, 1] = log_weights[0, 1].log()
    loss = sampled_cross_entropy(log_q, ids, log_weights)
    torch.testing.assert_close(loss, -(log_q[:, 3] + 0.75 * log_q[:, 1]))
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), log_q)[0], torch.tensor([[0, -0.75, 0, -1.0]]))
