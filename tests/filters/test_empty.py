"""The empty filter: only answers that say something."""

import pytest

from tests.filters.candidates import answered, reasons


@pytest.mark.parametrize("completion", ["yes", " yes", "0", "."])
def test_an_answer_of_one_visible_character_or_more_passes(completion: str) -> None:
    assert reasons("empty", [answered(completion)]) == [None]


@pytest.mark.parametrize("completion", ["", " ", "\n\t \u00a0\u2003"])
def test_an_answer_of_white_space_alone_is_rejected(completion: str) -> None:
    assert reasons("empty", [answered(completion)]) == ["empty"]
