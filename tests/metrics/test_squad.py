"""SQuAD's exact match and F1, against values of its own evaluation script worked out by hand."""

import pytest

from tasks.metrics.squad import exact_match, f1


def test_the_best_of_all_references_counts() -> None:
    assert exact_match("the Eiffel Tower.", ["Big Ben", "Eiffel tower"]) == 1
    assert exact_match("Eiffel", ["Big Ben", "Eiffel tower"]) == 0
    assert f1("Eiffel", ["Big Ben", "Eiffel tower"]) == pytest.approx(2 / 3)


def test_words_count_as_often_as_both_have_them() -> None:
    assert f1("no no no", ["no yes"]) == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


def test_a_text_without_words_is_like_another_alone() -> None:
    assert (f1("the", ["a"]), f1("the", ["still"]), f1("still", ["the"])) == (1, 0, 0)
