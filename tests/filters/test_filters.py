"""All rules together: every rule sees every candidate, so that a rejected row carries all its reasons."""

from typing import get_args

from tasks.dataset import FilterName
from tasks.filters import FILTERS, Candidate, FilterContext


def count_characters(candidate: Candidate) -> tuple[int, int]:
    return len(candidate.text or ""), len(candidate.completion)


def test_a_row_that_breaks_several_rules_has_a_reason_for_each() -> None:
    context = FilterContext(labels=["hot", "cold"], max_length_tokens=5, count_tokens=count_characters)
    rules = [make(context) for make in FILTERS.values()]
    cut_off = Candidate(task="CLASSIFICATION", messages=[], text="A still is", completion="  ", finish_reason="length")
    assert [rule(cut_off) for rule in rules] == ["finish_length", "empty", "too_long", "unknown_label", None]


def test_every_rule_can_be_named_in_a_recipe() -> None:
    assert set(get_args(FilterName)) == set(FILTERS)
