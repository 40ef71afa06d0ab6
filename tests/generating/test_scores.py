"""What best-of selection goes by."""

import pytest

from tasks.generating.scores import SCORES, Contender, ScoreName

ANSWERS = [
    Contender("NLU_QA", "Paris", ["Lutetia", "paris"], -0.5),
    Contender("NLU_QA", "Lyon", ["Lutetia", "paris"], -0.1),
    Contender("NLU_QA", " paris.", ["paris"], None),
    Contender("NLU_QA", "Rome", [], -2.0),
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
    assert SCORES["reference"]([Contender("NLU_QA", "", [], None)]) == [0.0]


def test_what_answers_say_is_what_their_task_reads_in_them() -> None:
    texts = ["2 + 2 is 4.0", "It must be four, that is 4", "5", "Nobody knows"]
    sums = [Contender("MATH", text, ["I add them up.\n#### 4"], None) for text in texts]

    assert SCORES["reference"](sums) == [1, 1, 0, 0]
    assert SCORES["agreement"](sums) == [0.5, 0.5, 0.25, 0]


def test_what_is_none_of_the_labels_agrees_with_nothing() -> None:
    texts = ["No idea", "no idea", "It follows.\nAnswer: yes"]
    said = [Contender("NLI", text, ["yes"], None, ("yes", "no")) for text in texts]

    assert SCORES["reference"](said) == [0, 0, 1]
    assert SCORES["agreement"](said) == [0, 0, pytest.approx(1 / 3)]
