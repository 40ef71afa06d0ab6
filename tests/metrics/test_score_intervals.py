"""Intervals of what models score on the same items, against published values, plain formulas and the truth."""

import numpy as np
import pytest

from tasks.metrics.intervals import Interval, wilson
from tasks.metrics.score_intervals import difference_interval, gap_closed_interval, mean_interval, ratio_interval

RIGHT, WRONG = np.ones(100), np.zeros(100)
T_99 = 1.984217
"""97.5 % quantile of Student's t with 99 degrees of freedom."""


def pairs(both: int, ours: int, theirs: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right (1) and wrong (0) of two models by how many items both, one or none of them has right."""
    counts = [both, ours, theirs, neither]
    return np.repeat([1.0, 1, 0, 0], counts), np.repeat([1.0, 0, 1, 0], counts)


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def test_the_mean_of_right_and_wrong_has_about_wilsons_interval() -> None:
    interval = mean_interval(np.repeat([1.0, 0.0], [930, 70]))

    assert interval.value == 0.93
    assert bounds(interval) == pytest.approx(bounds(wilson(930, 1000)), abs=2e-4)


def test_a_difference_of_right_and_wrong_has_the_bounds_at_which_the_closed_form_says_so() -> None:
    ours, theirs = pairs(60, 14, 6, 20)
    for bound, sign in zip(bounds(difference_interval(ours, theirs)), (1, -1), strict=True):
        assert tango(60, 14, 6, 20, bound) == pytest.approx(sign * T_99, abs=1e-4)


def test_a_ratio_of_right_and_wrong_has_the_bounds_at_which_the_closed_form_says_so() -> None:
    ours, theirs = pairs(80, 4, 12, 4)
    for bound, sign in zip(bounds(ratio_interval(ours, theirs)), (1, -1), strict=True):
        assert nam_and_blackwelder(80, 4, 12, 4, bound) == pytest.approx(sign * T_99, abs=1e-4)


def nam_and_blackwelder(both: int, ours: int, theirs: int, neither: int, ratio: float) -> float:
    """Return the statistic of Nam and Blackwelder (2002), equations 2 to 4, for a ratio of paired proportions."""
    items = both + ours + theirs + neither
    a = items * (1 + ratio)
    b = (both + theirs) * ratio**2 - (both + ours + 2 * theirs)
    c = theirs * (1 - ratio) * (both + ours + theirs) / items
    only_theirs = (-b + (b * b - 4 * a * c) ** 0.5) / (2 * a)
    only_ours = (only_theirs - (1 - ratio) * (1 - neither / items)) / ratio
    return (both + ours - ratio * (both + theirs)) / (items * ratio * (only_theirs + only_ours)) ** 0.5


def tango(both: int, ours: int, theirs: int, neither: int, difference: float) -> float:
    """Return the statistic of Tango (1998) for a difference of paired proportions."""
    items = both + ours + theirs + neither
    b = -ours - theirs + (2 * items - ours + theirs) * difference
    c = -theirs * difference * (1 - difference)
    only_theirs = ((b * b - 8 * items * c) ** 0.5 - b) / (4 * items)
    variance = items * (2 * only_theirs + difference * (1 - difference))
    return (ours - theirs - items * difference) / variance**0.5


def test_graded_scores_have_the_interval_of_a_large_sample() -> None:
    teacher = np.random.default_rng(1).beta(6, 2, size=2_000)
    student = np.clip(teacher - 0.05 + np.random.default_rng(2).normal(0, 0.05, size=2_000), 0, 1)
    gap = student - teacher

    half = 1.96 * gap.std() / len(gap) ** 0.5
    assert bounds(difference_interval(student, teacher)) == pytest.approx((gap.mean() - half, gap.mean() + half), abs=half / 3)
    ratio = student.mean() / teacher.mean()
    half = 1.96 * (student - ratio * teacher).std() / len(gap) ** 0.5 / teacher.mean()
    assert bounds(ratio_interval(student, teacher)) == pytest.approx((ratio - half, ratio + half), abs=half / 3)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_items_that_are_all_alike_leave_an_uncertainty(share: float) -> None:
    low, high = bounds(mean_interval(share * RIGHT))
    assert high - low > 3.5 / 100, "the rule of three: what was never seen may be 3.7 items of 100"
    low, high = bounds(difference_interval(share * RIGHT, share * RIGHT))
    assert low < -3.5 / 100 and high > 3.5 / 100


def test_a_student_that_says_what_the_teacher_says_is_not_known_to_be_its_equal_exactly() -> None:
    low, high = bounds(ratio_interval(RIGHT, RIGHT))
    assert low == pytest.approx(0.962, abs=1e-3) and high == pytest.approx(1 / 0.962, abs=1e-3)


def test_a_teacher_without_a_right_answer_leaves_no_ratio() -> None:
    assert ratio_interval(RIGHT, WRONG) == Interval(value=0.0)


def test_the_share_of_a_wide_gap_has_bounds() -> None:
    baseline = np.tile([1.0, 0, 0, 0], 25)
    student = np.tile([1.0, 1, 1, 0], 25)
    interval = gap_closed_interval(student, baseline, RIGHT)

    assert interval.value == pytest.approx(2 / 3)
    low, high = bounds(interval)
    assert 0.5 < low < 2 / 3 < high < 0.8


def test_the_share_of_a_gap_that_may_be_none_has_no_bounds() -> None:
    baseline, teacher = pairs(80, 5, 8, 7)
    interval = gap_closed_interval(RIGHT, baseline, teacher)

    assert interval.value == pytest.approx(15 / 3)
    assert (interval.low, interval.high) == (None, None)


def test_a_student_below_a_baseline_that_is_above_the_teacher_has_closed_nothing() -> None:
    assert gap_closed_interval(WRONG, RIGHT, np.tile([1.0, 0.0], 50)) == Interval(value=0.0), "loss over loss is no gain"


def test_a_student_below_the_baseline_has_lost_ground() -> None:
    interval = gap_closed_interval(WRONG, np.tile([1.0, 0.0], 50), RIGHT)

    assert interval.value == pytest.approx(-1.0)
    low, high = bounds(interval)
    assert low < -1 < high < 0


def test_intervals_contain_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(7)
    contained = 0
    for _ in range(100):
        teacher = (generator.random(150) < 0.8).astype(float)
        student = np.where(generator.random(150) < 0.85, teacher, (generator.random(150) < 0.4).astype(float))
        low, high = bounds(ratio_interval(student, teacher))
        contained += low <= (0.85 * 0.8 + 0.15 * 0.4) / 0.8 <= high
    assert 89 <= contained <= 99
