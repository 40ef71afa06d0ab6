"""What best-of selection goes by."""

import pytest

from tasks.generating.scores import SCORES, Contender, ScoreName

ANSWERS = [
    Contender("Paris", "paris", -0.5),
    Contender("Lyon", "paris", -0.1),
    Contender(" paris.", "paris", None),
    Contender("Rome", None, -2.0),
]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("reference", [1.0, 0.0, 1.0, 0.0]),
        ("agreement", [0.5, 0.25, 0.5, 0.25]),
        ("confidence", [-0.5, -0.1, float("-inf"), -2.0]),
    ],
)
def test_a_score_gives_every_answer_a_number(score: ScoreName, expected: list[float]) -> None:
    assert SCORES[score](ANSWERS) == expected


def test_an_answer_without_a_reference_is_not_right_because_it_is_empty() -> None:
    assert SCORES["reference"]([Contender("", None, None)]) == [0.0]
