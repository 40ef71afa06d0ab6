"""The empty rule: only answers that say something."""

import pytest

from tasks.filters import FILTERS, Candidate, FilterContext

CONTEXT = FilterContext(labels=[], max_length_tokens=None, count_tokens=lambda candidate: (0, 0))


def answered(completion: str) -> Candidate:
    return Candidate(task="CLASSIFICATION", messages=[], text="Is a still hot?", completion=completion, finish_reason="stop")


@pytest.mark.parametrize("completion", ["yes", " yes", "0", "."])
def test_an_answer_of_one_visible_character_or_more_passes(completion: str) -> None:
    assert FILTERS["empty"](CONTEXT)(answered(completion)) is None


@pytest.mark.parametrize("completion", ["", " ", "\n\t \u00a0\u2003"])
def test_an_answer_of_white_space_alone_is_rejected(completion: str) -> None:
    assert FILTERS["empty"](CONTEXT)(answered(completion)) == "empty"
