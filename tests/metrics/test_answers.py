"""Reading an answer: what counts as the same label, and as the same text."""

import pytest

from tasks.metrics.answers import normalise_answer, normalise_label


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Neutral", "neutral"),
        (" neutral.\n", "neutral"),
        ('"Neutral."', "neutral"),
        ("'not  sure'.", "not sure"),
        ("“Straße”", "strasse"),
        ("co-operate", "co-operate"),
        ("the label", "the label"),
        ("", ""),
        ("...", ""),
    ],
)
def test_a_label_loses_case_quotes_a_full_stop_and_repeated_white_space(said: str, read: str) -> None:
    assert normalise_label(said) == read


def test_labels_that_differ_in_any_other_sign_are_different() -> None:
    assert len({normalise_label(label) for label in ("C", "C++", "C#", "C!", "(C)", "-1", "1", "+1")}) == 8


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("an answer  and a\nquestion", "answer and question"),
        ("Theatre, anathema", "theatre anathema"),
        ("co-operate", "cooperate"),
        ("It's 3.5 kg", "its 35 kg"),
        ("the", ""),
    ],
)
def test_a_free_answer_loses_case_punctuation_and_articles_as_in_squad(said: str, read: str) -> None:
    assert normalise_answer(said) == read
