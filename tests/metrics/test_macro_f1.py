"""Macro-F1: F1 averaged over the labels, against values worked out by hand."""

import pytest

from tasks.metrics.macro_f1 import macro_f1


def test_macro_f1_is_the_mean_of_the_labels_f1() -> None:
    references = [[label] for label in ["hot", "hot", "hot", "cold", "cold", "mild"]]
    answers = ["hot", "hot", "cold", "cold", "hot", "mild"]
    # hot: precision 2/3, recall 2/3, F1 2/3; cold: 1/2, 1/2, F1 1/2; mild: F1 1
    assert macro_f1(answers, references) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_a_rare_label_counts_as_much_as_a_frequent_one() -> None:
    references = [[label] for label in ["hot"] * 9 + ["cold"]]
    answers = ["hot"] * 10
    # hot: precision 9/10, recall 1, F1 18/19; cold is never answered, F1 0; accuracy would be 9/10
    assert macro_f1(answers, references) == pytest.approx((18 / 19 + 0) / 2)


def test_an_answer_outside_the_closed_set_costs_recall_and_no_precision() -> None:
    references = [[label] for label in ["hot", "hot", "cold", "cold"]]
    answers = ["hot", "banana", "cold", "cold"]
    # hot: precision 1, recall 1/2, F1 2/3; cold: F1 1; banana is no label and is not averaged
    assert macro_f1(answers, references) == pytest.approx((2 / 3 + 1) / 2)


def test_all_right_is_one_and_all_wrong_is_zero() -> None:
    assert macro_f1(["hot", "cold"], [["hot"], ["cold"]]) == 1.0
    assert macro_f1(["cold", "hot"], [["hot"], ["cold"]]) == 0.0
