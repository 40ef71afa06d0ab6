"""The finish reason rule: only answers that the teacher ended by itself."""

import pytest

from tasks.filters import FILTERS, Candidate, FilterContext

CONTEXT = FilterContext(labels=[], max_length_tokens=None, count_tokens=lambda candidate: (0, 0))


def answer_that_ended_with(finish_reason: str) -> Candidate:
    return Candidate(
        task="CLASSIFICATION", messages=[], text="Is a still hot?", completion="Yes, while it ru", finish_reason=finish_reason
    )


def test_an_answer_that_ended_by_itself_passes() -> None:
    assert FILTERS["finish_reason"](CONTEXT)(answer_that_ended_with("stop")) is None


@pytest.mark.parametrize("finish_reason", ["length", "repetition", "abort", "error"])
def test_any_other_end_is_rejected_and_named(finish_reason: str) -> None:
    assert FILTERS["finish_reason"](CONTEXT)(answer_that_ended_with(finish_reason)) == f"finish_{finish_reason}"
