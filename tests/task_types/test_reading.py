"""What each kind of task takes for an answer, and what is invalid."""

import pytest

from tasks.task_types import TASK_TYPES

LABELS = ["C", "C++", "C#", "Not sure"]


@pytest.mark.parametrize("task", ["NLI", "CLASSIFICATION"])
@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("C++", "C++"),
        (" c#. ", "C#"),
        ('"not  sure."', "Not sure"),
        ("It has no classes.\n**Answer:** C", "C"),
        ("Answer: C++\nNo, wait.\nFinal answer: C#", "C#"),
    ],
)
def test_a_label_is_read_as_the_labels_spell_it(task: str, said: str, label: str) -> None:
    assert TASK_TYPES[task].read(said, LABELS) == label


@pytest.mark.parametrize("said", ["", "C+", "(C)", "C, I think", "The answer is C", "Answer: C or C++", "C++ C++"])
def test_anything_else_than_a_label_is_invalid(said: str) -> None:
    assert TASK_TYPES["CLASSIFICATION"].read(said, LABELS) is None


def test_where_the_labels_are_not_known_any_text_is_one() -> None:
    assert TASK_TYPES["NLI"].read(" Entailment. ", []) == "entailment"
    assert TASK_TYPES["NLI"].read("It follows.\nAnswer: Entailment", []) == "entailment"
    assert TASK_TYPES["NLI"].read(" . ", []) is None


@pytest.mark.parametrize("task", ["CONVERSATION", "SUMMARIZATION", "custom"])
def test_free_texts_are_taken_whole(task: str) -> None:
    assert TASK_TYPES[task].read(" I reason.\nAnswer: yes ", LABELS) == "I reason.\nAnswer: yes"
    assert TASK_TYPES[task].read(" \n", LABELS) is None


def test_a_short_answer_may_follow_its_marker() -> None:
    assert TASK_TYPES["NLU_QA"].read("It stands there.\nAnswer: **Paris**", []) == "Paris"
    assert TASK_TYPES["NLU_QA"].read(" Paris ", []) == "Paris"
    assert TASK_TYPES["NLU_QA"].read("I do not know.\nAnswer:", []) is None


@pytest.mark.parametrize(
    ("task", "one", "other", "alike"),
    [
        ("CLASSIFICATION", "C++", "c++", True),
        ("CLASSIFICATION", "C++", "C#", False),
        ("MATH", "1/2", "0.5", True),
        ("MATH", "1/2", "0.51", False),
        ("NLU_QA", "The Eiffel Tower", "Eiffel tower.", True),
        ("CONVERSATION", "Hello!", "hello", True),
        ("custom", "+", "-", False),
        ("custom", "A", "the", False),
        ("custom", "1.5", "15", False),
        ("NLU_QA", "1,000", "1000.", True),
    ],
)
def test_two_answers_say_the_same_if_their_task_says_so(task: str, one: str, other: str, alike: bool) -> None:
    assert TASK_TYPES[task].same(one, other) is alike


@pytest.mark.parametrize(
    ("task", "answer", "references", "scores"),
    [
        ("NLI", "Entailment", ["neutral", "entailment"], {"accuracy": 1}),
        ("MATH", "0.5", ["The half of one is 1/2.\n#### 1/2"], {"accuracy": 1}),
        ("MATH", "72", ["#### 73"], {"accuracy": 0}),
        ("MATH", "0.5", ["\\boxed{1/2}"], {"accuracy": 1}),
        ("MATH", "x^2+3", ["x^2+3"], {"accuracy": 1}),
        ("NLU_QA", "Paris, France", ["France", "Paris"], {"f1": pytest.approx(2 / 3), "exact_match": 0}),
        ("SUMMARIZATION", "A still boils.", ["A still boils."], {"rouge1": 1, "rouge2": 1, "rougeLsum": 1}),
        ("CONVERSATION", "Hello there", ["Hi", "Hello there"], {"chrf": 1}),
        ("CONVERSATION", "Hello there", [], {}),
        ("custom", "The answer", ["answer"], {"custom": 1}),
        ("custom", "-", ["+"], {"custom": 0}),
    ],
)
def test_an_answer_is_scored_against_all_its_references(
    task: str, answer: str, references: list[str], scores: dict[str, float]
) -> None:
    assert TASK_TYPES[task].score(answer, references) == scores


def test_every_primary_metric_is_among_the_scores() -> None:
    for task in TASK_TYPES.values():
        assert task.metric in task.score("7", ["7"])
