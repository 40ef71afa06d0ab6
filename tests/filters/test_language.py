"""The language filter: the prompt's language, or one of a set; short texts are not judged."""

import pytest

from tests.filters.candidates import answered, look, reasons

ENGLISH = "The still warms slowly,\nand the vapour rises through a copper column."
GERMAN = "Die Anlage wird langsam warm,\nund der Dampf steigt durch eine Säule aus Kupfer."


def asked(prompt: str, completion: str) -> list[str | None]:
    return reasons("language", [answered(completion, messages=[{"role": "user", "content": prompt}])])


def test_an_answer_in_the_language_of_its_prompt_passes() -> None:
    assert asked(ENGLISH, ENGLISH) == [None]
    assert asked(ENGLISH, GERMAN) == ["other_language"]


@pytest.mark.parametrize(("prompt", "completion"), [(ENGLISH, "Ja, genau."), ("2 + 2?", GERMAN), (ENGLISH, "1, 2, 3, 4, 5, 6")])
def test_what_is_too_short_to_tell_is_not_judged(prompt: str, completion: str) -> None:
    assert asked(prompt, completion) == [None]


def test_a_set_of_languages_can_be_allowed() -> None:
    rows = [answered(ENGLISH), answered(GERMAN), answered(ENGLISH.upper())]

    assert reasons("language", rows, wanted="allowed", allowed=["en"]) == [None, "other_language", None]


def test_how_sure_it_is_is_kept() -> None:
    assert look("language", [answered(ENGLISH)])[0].scores["language_confidence"] > 0.6
