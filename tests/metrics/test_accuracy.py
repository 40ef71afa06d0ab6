"""Accuracy: the share of answers that equal their reference."""

import pytest

from tasks.metrics import METRICS


def test_accuracy_is_the_share_of_equal_answers() -> None:
    assert METRICS["accuracy"](["a", "b", "c", "a"], ["a", "b", "a", "b"]) == 0.5


def test_all_right_is_one_and_all_wrong_is_zero() -> None:
    assert METRICS["accuracy"](["a", "b"], ["a", "b"]) == 1.0
    assert METRICS["accuracy"](["b", "a"], ["a", "b"]) == 0.0


def test_answers_and_references_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="longer"):
        METRICS["accuracy"](["a"], ["a", "b"])
