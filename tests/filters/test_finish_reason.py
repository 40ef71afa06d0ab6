"""The finish reason filter: only answers that the teacher ended by itself."""

import pytest

from tests.filters.candidates import answered, reasons


def test_an_answer_that_ended_by_itself_passes() -> None:
    assert reasons("finish_reason", [answered("Yes, while it runs.")]) == [None]


@pytest.mark.parametrize("finish_reason", ["length", "repetition", "abort", "error"])
def test_any_other_end_is_rejected_and_named(finish_reason: str) -> None:
    assert reasons("finish_reason", [answered("Yes, while it ru", finish_reason=finish_reason)]) == [f"finish_{finish_reason}"]
