"""How much of a text goes round in circles."""

import pytest

from tasks.metrics.repetition import is_repetitive, repeated_share

PROSE = (
    "A pot still is a type of distillation apparatus used to distil liquors such as whisky or brandy. In modern practice, a "
    "spirit is not pot distilled to such a purity that its flavour is lost. Heat is applied directly to the pot, and the wash "
    "inside boils; the vapour rises through the neck, passes the lyne arm and condenses in a coil of copper that water cools."
)


@pytest.mark.parametrize("text", ["", "yes", "yes yes yes yes", PROSE, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"])
def test_a_text_that_says_something_is_not_repetitive(text: str) -> None:
    assert repeated_share(text) == 0
    assert not is_repetitive(text)


@pytest.mark.parametrize("text", ["the spirit runs clear. " * 50, "ha" * 300, "哈哈笑" * 100, f"{PROSE} {'and so on, ' * 100}"])
def test_a_text_that_goes_round_in_circles_is(text: str) -> None:
    assert repeated_share(text) > 0.5
    assert is_repetitive(text)


def test_the_share_is_of_the_words_that_stood_there_before_in_fours() -> None:
    # 100 times a sentence of five words and a full stop: all but the first six words are repeated.
    assert repeated_share("the spirit runs clear now. " * 100) == pytest.approx(594 / 600)
