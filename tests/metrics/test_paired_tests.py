"""Tests of a difference on the same items, against published values, scipy and each other."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from tasks.metrics.paired_tests import difference_p_value, holm, mcnemar, sign_flip


def test_mcnemars_test_is_a_sign_test_of_the_items_on_which_two_models_differ() -> None:
    assert mcnemar(better=9, worse=1) == pytest.approx(22 / 1024)  # two tails of 10 coin flips: 2 * (1 + 10) / 2**10
    assert mcnemar(better=5, worse=5) == 1.0
    assert mcnemar(better=0, worse=0) == 1.0


def test_right_and_wrong_are_tested_exactly() -> None:
    ours, theirs = np.repeat([1.0, 1, 0], [50, 9, 1]), np.repeat([1.0, 0, 1], [50, 9, 1])
    assert difference_p_value(ours, theirs) == pytest.approx(22 / 1024)


def test_graded_scores_are_tested_by_flipping_signs_as_scipy_does_it() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.random(30), generator.random(30) - 0.1
    expected = permutation_test(
        (ours, theirs), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=20_000, rng=generator
    ).pvalue
    assert difference_p_value(ours, theirs) == pytest.approx(expected, abs=0.015)


def test_flipping_the_signs_of_equal_differences_is_the_sign_test() -> None:
    assert sign_flip(np.repeat([0.25, -0.25, 0.0], [9, 1, 40])) == pytest.approx(mcnemar(9, 1), abs=0.004)


def test_models_that_never_differ_do_not_differ() -> None:
    assert difference_p_value(np.full(5, 0.3), np.full(5, 0.3)) == 1.0


def test_no_difference_is_impossible_by_chance() -> None:
    assert sign_flip(np.linspace(0.1, 1, 200)) > 0


def test_holm_multiplies_by_the_hypotheses_that_are_left_and_never_falls() -> None:
    assert holm({"NLI": 0.01, "MATH": 0.04, "NLU_QA": 0.03}) == {
        "NLI": pytest.approx(0.03),
        "MATH": pytest.approx(0.06),
        "NLU_QA": pytest.approx(0.06),
    }
    assert holm({"NLI": 0.9, "MATH": 0.8}) == {"NLI": 1.0, "MATH": 1.0}
