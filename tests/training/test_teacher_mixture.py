"""Several teachers' candidates become one distribution, their weighted mean as far as it is stored."""

from typing import Any

import numpy as np
import pytest
import torch

from tasks.core.errors import SettingsError
from tasks.core.logprobs import NO_PROBABILITY, to_float16
from tasks.training.divergences import sparse_divergence
from tasks.training.settings import DistillationSettings
from tasks.training.teacher_mixture import combine_distributions

VOCABULARY, POSITIONS = 30, 40


def teacher(seed: int) -> np.ndarray:
    """A teacher's whole distribution at every position, [POSITIONS, VOCABULARY]."""
    logits = np.random.default_rng(seed).normal(scale=2, size=(POSITIONS, VOCABULARY))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def stored(probabilities: np.ndarray, k: int, used: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What is stored of it: the likeliest ids, of which only so many places may be used."""
    ids = np.argsort(-probabilities, axis=1)[:, :k].astype(np.uint32)
    logprobs = to_float16(np.log(np.take_along_axis(probabilities, ids.astype(np.int64), axis=1)))
    if used is not None:
        ids[:, used:], logprobs[:, used:] = 0, NO_PROBABILITY
    return ids, logprobs


def dense(distribution: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A stored distribution as a row of the vocabulary at each position, place by place."""
    rows = np.zeros((len(distribution[0]), VOCABULARY))
    for position, (ids, logprobs) in enumerate(zip(*distribution, strict=True)):
        for token, logprob in zip(ids, logprobs, strict=True):
            if logprob > NO_PROBABILITY:
                assert rows[position, token] == 0, "an id occurs twice"
                rows[position, token] = np.exp(float(logprob))
    return rows


def dense_mean(distributions: list[tuple[np.ndarray, np.ndarray]], weights: list[float]) -> np.ndarray:
    return sum((weight * dense(each) for weight, each in zip(weights, distributions, strict=True)), np.zeros(())) / sum(weights)


def test_the_mean_of_all_candidates_where_there_is_room_for_them() -> None:
    distributions = [stored(teacher(1), 8), stored(teacher(2), 8), stored(teacher(3), 5)]
    ids, logprobs = combine_distributions(distributions, [3, 1, 2], width=VOCABULARY)
    assert (ids.dtype, logprobs.dtype, ids.shape) == (np.uint32, np.float16, (POSITIONS, VOCABULARY))
    np.testing.assert_allclose(dense((ids, logprobs)), dense_mean(distributions, [3, 1, 2]), rtol=3e-3)


def test_the_largest_are_kept_from_high_to_low() -> None:
    distributions = [stored(teacher(1), 8), stored(teacher(2), 8)]
    ids, logprobs = combine_distributions(distributions, [0.7, 0.3], width=6)
    assert ids.shape == logprobs.shape == (POSITIONS, 6)
    assert (np.diff(logprobs.astype(np.float32), axis=1) <= 0).all()
    wanted = -np.sort(-dense_mean(distributions, [0.7, 0.3]), axis=1)[:, :6]
    np.testing.assert_allclose(np.exp(logprobs.astype(np.float64)), wanted, rtol=3e-3)


def test_places_that_are_left_over_are_unused() -> None:
    ids, logprobs = combine_distributions([stored(teacher(1), 3), stored(teacher(1), 4)], [1, 1], width=9)
    assert (ids[:, 4:] == 0).all()
    assert (logprobs[:, 4:] == NO_PROBABILITY).all()
    assert (logprobs[:, :4] > NO_PROBABILITY).all()


def test_unused_places_add_nothing_to_id_0_nor_make_it_a_candidate() -> None:
    zero_is_likely, zero_is_unknown = np.full((1, VOCABULARY), 0.4 / 28), np.full((1, VOCABULARY), 0.4 / 28)
    zero_is_likely[0, [0, 5]] = 0.35, 0.25
    zero_is_unknown[0, [5, 6]] = 0.35, 0.25
    padded = stored(zero_is_unknown, 6, used=2)
    ids, logprobs = combine_distributions([stored(zero_is_likely, 6, used=2), padded], [1, 1], width=4)
    assert ids.tolist() == [[5, 0, 6, 0]]
    np.testing.assert_allclose(np.exp(logprobs.astype(float)), [[0.3, 0.175, 0.125, 0]], rtol=2e-3)
    ids, logprobs = combine_distributions([padded, padded], [1, 1], width=4)
    assert ids.tolist() == [[5, 6, 0, 0]]
    assert logprobs[0, 2:].tolist() == [NO_PROBABILITY, NO_PROBABILITY]


def test_the_mean_is_exact_for_ids_that_all_stored_and_never_too_high_for_others() -> None:
    teachers, weights = [teacher(1), teacher(2)], [0.6, 0.4]
    distributions = [stored(each, 8) for each in teachers]
    found, whole = dense(combine_distributions(distributions, weights, width=16)), 0.6 * teachers[0] + 0.4 * teachers[1]
    by_both = (dense(distributions[0]) > 0) & (dense(distributions[1]) > 0)
    assert by_both.any()
    np.testing.assert_allclose(found[by_both], whole[by_both], rtol=3e-3)
    assert (found <= whole * 1.003).all()
    last = [np.exp(logprobs[:, -1:].astype(float)) for _, logprobs in distributions]
    assert ((whole - found)[found > 0] <= np.broadcast_to(0.6 * last[0] + 0.4 * last[1], found.shape)[found > 0] * 1.003).all()


def test_the_true_mean_is_the_optimum_only_where_the_teachers_stored_the_same_ids() -> None:
    one = teacher(1)
    flatter = np.sqrt(one) / np.sqrt(one).sum(axis=1, keepdims=True)  # the same order of ids, so the same are stored
    for other, least, most in ((flatter, 0.0, 1e-5), (teacher(2), 1e-3, 1.0)):
        ids, logprobs = combine_distributions([stored(one, 8), stored(other, 8)], [1, 1], width=16)
        log_q = torch.from_numpy(np.log((one + other) / 2)).float()
        candidates = torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(logprobs.astype(np.float32))
        assert least <= float(sparse_divergence(log_q, *candidates, DistillationSettings()).mean()) <= most


def test_equal_teachers_and_a_teacher_of_weight_0_change_nothing() -> None:
    one = stored(teacher(1), 8)
    for distributions, weights in (([one, one], [5, 2]), ([one, stored(teacher(2), 8)], [1, 0])):
        ids, logprobs = combine_distributions(distributions, weights, width=8)
        np.testing.assert_allclose(dense((ids, logprobs)), dense(one), rtol=1e-3)


def test_an_answer_without_tokens_has_no_candidates() -> None:
    empty: Any = (np.zeros((0, 4), np.uint32), np.zeros((0, 4), np.float16))
    ids, logprobs = combine_distributions([empty, empty], [1, 1], width=6)
    assert ids.shape == logprobs.shape == (0, 6)


@pytest.mark.parametrize("weights", [[0, 0], [2, -1], [float("nan"), 1]])
def test_weights_without_a_mean_are_refused(weights: list[float]) -> None:
    with pytest.raises(SettingsError, match="weights of the combined teachers"):
        combine_distributions([stored(teacher(1), 4), stored(teacher(2), 4)], weights, width=4)
