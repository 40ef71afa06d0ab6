"""The label rule: only answers out of the closed set, for tasks that have one."""

from dataclasses import replace

import pytest

from tasks.filters import FILTERS, Candidate, FilterContext


def among(labels: list[str]) -> FilterContext:
    return FilterContext(labels=labels, max_length_tokens=None, count_tokens=lambda candidate: (0, 0))


def answered(completion: str) -> Candidate:
    return Candidate(task="CLASSIFICATION", messages=[], text="Is a still hot?", completion=completion, finish_reason="stop")


@pytest.mark.parametrize("completion", ["neutral", " Neutral.\n", '"NEUTRAL"', "'not  sure'"])
def test_a_label_passes_however_it_is_dressed(completion: str) -> None:
    assert FILTERS["label"](among(["Neutral", "not sure"]))(answered(completion)) is None


@pytest.mark.parametrize("completion", ["maybe", "neutral, I think", "neutralise", "The answer is neutral", ""])
def test_anything_else_is_rejected(completion: str) -> None:
    assert FILTERS["label"](among(["neutral", "entailment"]))(answered(completion)) == "unknown_label"


def test_a_task_without_labels_takes_any_answer() -> None:
    assert FILTERS["label"](among([]))(answered("Whatever comes to mind")) is None


def test_an_open_task_beside_a_closed_one_takes_any_answer() -> None:
    rule = FILTERS["label"](among(["neutral", "entailment"]))
    assert rule(replace(answered("Whatever comes to mind"), task="CONVERSATION")) is None
