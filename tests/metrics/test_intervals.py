"""95 % intervals: Wilson's against published values, the bootstrap of medians and of metrics over a whole set."""

import numpy as np
import pytest

from tasks.metrics.intervals import Interval, bootstrap_median, items_to_stay_below, resampled, wilson
from tasks.metrics.macro_f1 import macro_f1
from tasks.metrics.mcc import mcc


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


def test_the_items_that_a_ceiling_takes_are_those_from_which_on_wilsons_interval_ends_below_it() -> None:
    for share, ceiling in ((0.0, 0.05), (0.04, 0.05), (0.1, 0.25)):
        needed = items_to_stay_below(share, ceiling) or 0
        assert (wilson(share * needed, needed).high or 1) <= ceiling
        assert (wilson(share * (needed - 1), needed - 1).high or 0) > ceiling
    assert items_to_stay_below(0, 0.05) == 73
    assert items_to_stay_below(0.05, 0.05) is None


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


def test_a_metric_of_faultless_answers_is_not_certain() -> None:
    interval = resampled(["hot", "cold"] * 20, one_each(["hot", "cold"] * 20), macro_f1)
    assert interval == wilson(40, 40), "none of 40 may still be one in eleven"
