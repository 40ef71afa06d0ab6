"""The win rate at equal lengths, on judgements that are simulated with a known taste for length."""

import numpy as np
import pytest

from tasks.judging.length_control import length_controlled_win_rate


def simulated(
    quality: float, taste: float, items: int = 4000, longer_by: float = 60.0
) -> tuple[list[float], list[int], list[int]]:
    """Return judgements of a model whose answers are longer, by a judge that goes by quality and by length."""
    generator = np.random.default_rng(7)
    other = generator.integers(100, 400, items)
    ours = np.maximum(other + generator.normal(longer_by, 50, items), 1).astype(int)
    difference = ours - other
    preference = 1 / (1 + np.exp(-quality - taste * np.tanh(difference / difference.std())))
    return (generator.random(items) < preference).astype(float).tolist(), ours.tolist(), other.tolist()


def test_what_is_won_by_length_alone_is_taken_away() -> None:
    scores, ours, other = simulated(quality=0.0, taste=1.5)
    found = length_controlled_win_rate(scores, ours, other)

    assert np.mean(scores) > 0.65
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.12


def test_what_is_won_by_quality_stays() -> None:
    found = length_controlled_win_rate(*simulated(quality=1.0, taste=0.0))

    assert found is not None
    assert found.value == pytest.approx(1 / (1 + np.exp(-1)), abs=0.04)


def test_it_is_the_logistic_regression_of_a_known_library() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, ours, other = simulated(quality=0.4, taste=0.8)
    difference = np.subtract(ours, other)
    reference = LogisticRegression(C=1e9).fit(np.tanh(difference / difference.std())[:, None], scores)
    found = length_controlled_win_rate(scores, ours, other)

    assert found is not None
    assert found.value == pytest.approx(1 / (1 + np.exp(-reference.intercept_[0])), abs=1e-3)


def test_ties_alone_are_a_half() -> None:
    found = length_controlled_win_rate([0.5] * 40, list(range(40)), [20] * 40)

    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_a_model_that_always_wins_has_an_estimate_that_is_not_certain() -> None:
    found = length_controlled_win_rate([1.0] * 10, list(range(10)), [5] * 10)

    assert found is not None and found.low is not None
    assert found.value > 0.9
    assert found.low < 0.95


@pytest.mark.parametrize("lengths", [[], [30, 40, 50]])
def test_without_a_difference_of_lengths_there_is_nothing_to_control(lengths: list[int]) -> None:
    assert length_controlled_win_rate([1.0] * len(lengths), lengths, lengths) is None
