"""The best-of-n filter: a prompt's best answers, by scores in a fixed order, the same ones whatever the rows' order."""

import numpy as np

from tests.filters.candidates import Rows, answered, look_at_set, rejected

FOUR = [answered(text, id="a", sample_index=n) for n, text in enumerate("wxyz")]


def test_votes_come_before_confidence_and_the_lower_sample_breaks_a_tie() -> None:
    rows = Rows(FOUR, vote_share=[0.25, 0.5, 0.5, 0.5], mean_logprob=[-0.1, -2, -1, -1])

    assert rejected("best_n", rows) == [0, 1, 3]
    np.testing.assert_array_equal(look_at_set("best_n", rows).scores["answer_rank"], [4, 3, 1, 2])


def test_each_prompt_keeps_its_own() -> None:
    rows = [*FOUR, answered("v", id="b")]

    assert rejected("best_n", Rows(rows), max_answers=2) == [2, 3]
    assert rejected("best_n", Rows(rows[::-1]), max_answers=2) == [1, 2]


def test_a_judge_comes_first() -> None:
    assert rejected("best_n", Rows(FOUR[:2], judge_score=[1, 5], vote_share=[1, 0])) == [0]
