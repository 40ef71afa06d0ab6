"""95 % intervals: Wilson's against published values, the bootstrap against a plain one and against the truth."""

import numpy as np
import pytest

from tasks.metrics.intervals import Interval, bootstrap_median, paired_bootstrap, resampled, wilson
from tasks.metrics.macro_f1 import macro_f1
from tasks.metrics.mcc import mcc


def retained(mean: np.ndarray) -> np.ndarray:
    """Student over teacher; undefined where the teacher has nothing right."""
    return np.divide(mean[1], mean[0], out=np.full_like(mean[1], np.nan), where=mean[0] != 0)


def graded(items: int, teacher: float, student: float, seed: int) -> list[list[float]]:
    """Right (1) and wrong (0) of a teacher and a student, of which the student is right only where the teacher is."""
    generator = np.random.default_rng(seed)
    right = generator.random(items) < teacher
    return [right.astype(float).tolist(), (right & (generator.random(items) < student / teacher)).astype(float).tolist()]


def contains(interval: Interval, value: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= value <= interval.high


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # these four: Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (92, 100, 0.8500, 0.9589),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilsons_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert interval.value == successes / trials
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_drawing_equal_items_together_gives_the_interval_of_drawing_them_one_by_one() -> None:
    scores = graded(items=300, teacher=0.9, student=0.8, seed=1)
    fast = paired_bootstrap(scores, retained)
    items = np.asarray(scores)
    picks = np.random.default_rng(2).integers(0, 300, size=(10_000, 300))
    low, high = np.percentile(retained(items[:, picks].mean(axis=2)), [2.5, 97.5])
    assert fast.value == pytest.approx(items[1].mean() / items[0].mean())
    assert (fast.low, fast.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))


def test_scores_need_not_be_right_or_wrong() -> None:
    scores = np.random.default_rng(3).normal([[1.0], [3.0]], 1.0, size=(2, 400))
    interval = paired_bootstrap(scores.tolist(), lambda mean: mean[1] - mean[0])
    half_width = 1.96 * (scores[1] - scores[0]).std() / 400**0.5
    assert interval.value == pytest.approx((scores[1] - scores[0]).mean())
    assert interval.low == pytest.approx(interval.value - half_width, abs=0.01)
    assert interval.high == pytest.approx(interval.value + half_width, abs=0.01)


def test_the_interval_of_a_ratio_contains_the_truth_about_95_times_in_100() -> None:
    intervals = [
        paired_bootstrap(graded(items=300, teacher=0.9, student=0.8, seed=seed), retained, resamples=1_000) for seed in range(400)
    ]
    assert 0.92 <= np.mean([contains(interval, 0.8 / 0.9) for interval in intervals]) <= 0.98


def test_what_makes_an_item_hard_for_both_cancels() -> None:
    same = graded(items=100, teacher=0.5, student=0.4, seed=4)[0]
    assert paired_bootstrap([same, same], retained) == Interval(value=1.0, low=1.0, high=1.0)


def test_a_teacher_without_a_right_answer_leaves_no_bounds() -> None:
    interval = paired_bootstrap([[0.0] * 50, [1.0] * 50], retained)
    assert (interval.low, interval.high) == (None, None)


def test_bounds_are_told_from_the_draws_in_which_the_ratio_exists() -> None:
    once_right = [1.0, *[0.0] * 4]  # a teacher that is right in about two draws of three
    interval = paired_bootstrap([once_right, once_right], retained)
    assert interval == Interval(value=1.0, low=1.0, high=1.0)


def test_the_same_scores_give_the_same_interval() -> None:
    scores = graded(items=50, teacher=0.9, student=0.8, seed=5)
    assert paired_bootstrap(scores, retained) == paired_bootstrap(scores, retained)


def test_a_median_lies_within_its_interval_and_ignores_an_outlier() -> None:
    milliseconds = [*np.random.default_rng(6).normal(100, 5, size=49).tolist(), 10_000.0]
    interval = bootstrap_median(milliseconds)
    assert interval.value == np.median(milliseconds)
    assert contains(interval, interval.value)
    assert 95 < (interval.low or 0) < (interval.high or 0) < 105


def test_the_median_of_equal_measurements_is_certain() -> None:
    assert bootstrap_median([2.0] * 5) == Interval(value=2.0, low=2.0, high=2.0)


def one_each(labels: list[str]) -> list[list[str]]:
    """Return references of items that accept one label each."""
    return [[label] for label in labels]


def test_the_correlation_of_two_labels_has_fishers_interval() -> None:
    # For 0 and 1 it is Pearson's r, whose interval for uncorrelated items is about 1.96 standard errors of 1 / sqrt(n) wide.
    generator = np.random.default_rng(7)
    answers, references = (generator.choice(["hot", "cold"], 1_000).tolist() for _ in range(2))
    interval = resampled(answers, one_each(references), mcc)
    width = 2 * 1.96 / 1_000**0.5
    assert (interval.high or 0) - (interval.low or 0) == pytest.approx(width, rel=0.1)


def test_macro_f1_has_an_interval_around_its_value() -> None:
    references = ["hot", "cold", "mild"] * 40
    answers = ["hot", "cold", "cold"] * 20 + ["hot", "cold", "mild"] * 20
    interval = resampled(answers, one_each(references), macro_f1)
    assert interval.value == macro_f1(answers, one_each(references))
    assert 0 < (interval.low or 0) < interval.value < (interval.high or 0) < 1


def test_a_metric_of_faultless_answers_is_certain() -> None:
    assert resampled(["hot", "cold"] * 20, one_each(["hot", "cold"] * 20), macro_f1) == Interval(value=1.0, low=1.0, high=1.0)
