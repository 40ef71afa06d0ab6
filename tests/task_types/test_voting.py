"""The vote of several answers to one question: what agrees, who wins, and what the winner scores."""

import pytest

from tasks.task_types import TASK_TYPES
from tasks.task_types.voting import count_votes, majority, with_vote
from tests.comparing.models import answered, prompt

MATH, LABELS = TASK_TYPES["MATH"], TASK_TYPES["CLASSIFICATION"]


def test_answers_agree_as_the_task_says_and_invalid_ones_do_not_vote() -> None:
    assert count_votes(MATH, ["1/2", "0.5", None, "7"]) == {"1/2": 2, "0.5": 2, "7": 1}
    assert count_votes(LABELS, ["hot", "hot", "cold"]) == {"hot": 2, "cold": 1}


@pytest.mark.parametrize(
    ("answers", "winner"),
    [(["7", "1/2", "0.5"], "1/2"), (["3", "4", "4", "3"], "3"), ([None, None, "9"], "9"), ([None, None], None)],
    ids=["most", "first of equals", "any before none", "nothing"],
)
def test_most_votes_win(answers: list[str | None], winner: str | None) -> None:
    assert majority(MATH, answers) == winner


def test_the_winners_score_stands_beside_the_others() -> None:
    row = answered(prompt(0, "MATH", "0.5"), 0.0)

    assert with_vote(row, MATH, ["7", "1/2", "0.50"])["scores"] == [("accuracy", 0.0), ("maj@3", 1.0)]
    assert with_vote(row, MATH, ["7", "7", "0.5", None])["scores"] == [("accuracy", 0.0), ("maj@4", 0.0)]
    assert with_vote(row, MATH, [None, None])["scores"] == [("accuracy", 0.0), ("maj@2", 0.0)]


def test_without_a_reference_there_is_no_score_to_stand_beside() -> None:
    row = answered(prompt(0, "CLASSIFICATION", None), 0.0)

    assert with_vote(row, LABELS, ["hot", "hot"]) == row
