"""The length filter: only rows that fit the student, counted in its tokens."""

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from tasks.filters import Candidate, FilterContext
from tasks.filters.length import LengthSettings
from tests.filters.candidates import answered, look, reasons


class Words:
    """Counts words, and knows without counting that a short text is short."""

    def __init__(self) -> None:
        self.counted = 0

    def answers(self, candidates: Sequence[Candidate]) -> list[int]:
        return [len(candidate.completion.split()) for candidate in candidates]

    def rows(self, candidates: Sequence[Candidate]) -> list[int]:
        self.counted += len(candidates)
        return [len(candidate.asked.split()) + len(candidate.completion.split()) for candidate in candidates]

    def bound(self, candidate: Candidate) -> float:
        return len(candidate.asked) + len(candidate.completion)


ROW_OF_SEVEN = answered("It is hot.")


def test_a_row_of_just_the_limit_passes() -> None:
    assert reasons("length", [ROW_OF_SEVEN], FilterContext(count_tokens=Words()), max_row_tokens=7) == [None]


def test_a_row_of_one_token_more_is_rejected_though_prompt_and_answer_each_fit() -> None:
    found = look("length", [ROW_OF_SEVEN], FilterContext(count_tokens=Words()), max_row_tokens=6)

    assert found == [("too_long", {"row_tokens": 7})]


def test_a_row_that_surely_fits_is_not_counted() -> None:
    words = Words()

    assert reasons("length", [ROW_OF_SEVEN], FilterContext(count_tokens=words), max_row_tokens=25) == [None]
    assert words.counted == 0


def test_answers_have_limits_of_their_own_and_a_held_out_row_may_be_short() -> None:
    rows = [answered("Hot."), answered("Hot.", split="validation"), answered("It is hot."), answered("It is very hot, I say.")]
    context = FilterContext(count_tokens=Words())

    found = reasons("length", rows, context, min_answer_tokens=2, max_answer_tokens=5)
    assert found == ["answer_too_short", None, None, "answer_too_long"]


def test_limits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="leave no answer"):
        LengthSettings(min_answer_tokens=3, max_answer_tokens=2)
