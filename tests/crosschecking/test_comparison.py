"""When the harness disagrees with our evaluation, and when a difference is one of number formats."""

from typing import Any

import pytest

from tasks.crosschecking.comparison import FLOAT32_REGRET, HALF_REGRET, Comparison, compare
from tasks.crosschecking.job import HarnessItem, HarnessResult, Item


def ours(name: str, **changes: Any) -> Item:
    usual = {"task": "NLI", "messages": [], "text": "x", "references": ["neutral"], "completion": " neutral", "score": 1.0}
    return Item(id=name, finish_reason="stop", **{**usual, **changes})


def theirs(**changes: Any) -> HarnessItem:
    return HarnessItem(**{"same_prompt": True, "completion": " neutral", "score": 1.0, "regret": 0.0, **changes})


def one(items: list[Item], found: list[HarnessItem], ours: float, theirs: float, regret: float = FLOAT32_REGRET) -> Comparison:
    """Compare items of one task type, in their order, and the means of both sides."""
    result = HarnessResult(version="0", items=dict(zip((item.id for item in items), found, strict=True)), means={"NLI": theirs})
    (comparison,) = compare(items, result, {"NLI": ours}, regret)
    return comparison


def test_the_same_prompts_texts_and_scores_agree() -> None:
    assert one([ours("a"), ours("b")], [theirs(), theirs()], 1.0, 1.0).problems == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"same_prompt": False}, "NLI: another prompt for 1 of 2 items: b"),
        ({"score": 0.0}, "NLI: another score for 1 of 2 items: b"),
        ({"completion": " entailment", "regret": 0.1}, "NLI: another text for 1 of 2 items: b"),
        ({"completion": " neutral, I think", "regret": None}, "NLI: another text for 1 of 2 items: b"),
    ],
)
def test_each_disagreement_is_told_with_the_items(found: dict[str, Any], problem: str) -> None:
    assert one([ours("a"), ours("b")], [theirs(), theirs(**found)], 1.0, 1.0).problems == [problem]


def test_texts_that_part_where_the_model_is_undecided_are_no_disagreement_in_half_precision() -> None:
    parted = theirs(completion=" entailment", regret=0.1, score=0.0)
    comparison = one([ours("a"), ours("b")], [theirs(), parted], 1.0, 0.5, HALF_REGRET)

    assert comparison.undecided == ("b",)
    assert comparison.problems == [], "and the means may differ by that one item"
    assert one([ours("a"), ours("b")], [theirs(), parted], 1.0, 0.5, FLOAT32_REGRET).other_texts == ("b",)


def test_means_that_no_item_explains_are_a_disagreement() -> None:
    (problem,) = one([ours("a"), ours("b")], [theirs(), theirs()], 0.5, 1.0).problems

    assert problem == "NLI: our mean is 0.5000 and the harness's 1.0000"


def test_of_a_task_without_a_metric_of_the_harness_texts_are_compared() -> None:
    item, found = ours("a", task="MATH", score=None), theirs(score=None)
    (comparison,) = compare([item], HarnessResult(version="0", items={"a": found}, means={}), {}, FLOAT32_REGRET)

    assert (comparison.ours, comparison.theirs, comparison.problems) == (None, None, [])
