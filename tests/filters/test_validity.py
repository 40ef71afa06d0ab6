"""The validity filter: answers of the kind that their task asks for."""

import pytest
from pydantic import ValidationError

from tasks.filters import FilterContext
from tasks.filters.validity import ValiditySettings
from tests.filters.candidates import answered, reasons

LABELS = FilterContext(labels=("Neutral", "not sure", "C++", "C#"))
SCHEMA = {"type": "object", "required": ["hot"], "properties": {"hot": {"type": "boolean"}}}


@pytest.mark.parametrize("completion", ["neutral", " Neutral.\n", '"NEUTRAL"', "not  sure", "c++"])
def test_a_label_passes_however_it_is_dressed(completion: str) -> None:
    assert reasons("validity", [answered(completion, task="CLASSIFICATION")], LABELS) == [None]


@pytest.mark.parametrize("completion", ["maybe", "neutral, I think", "neutralise", "C", ""])
def test_anything_else_is_no_label(completion: str) -> None:
    assert reasons("validity", [answered(completion, task="NLI")], LABELS) == ["unknown_label"]


def test_an_open_task_beside_a_closed_one_takes_any_answer() -> None:
    assert reasons("validity", [answered("Whatever comes to mind")], LABELS) == [None]


def test_mathematics_needs_a_final_value() -> None:
    rows = [answered("It is hot.", task="MATH"), answered("So she sells 9.\n#### 9", task="MATH")]

    assert reasons("validity", rows) == ["invalid_answer", None]


def test_an_answer_of_a_schema_is_json_of_it() -> None:
    rows = [answered('{"hot": true}'), answered('{"hot": 1}'), answered("hot"), answered("neutral", task="NLI")]

    assert reasons("validity", rows, LABELS, json_schema=SCHEMA) == [None, "invalid_json", "invalid_json", None]
    with pytest.raises(ValidationError, match="is no JSON schema"):
        ValiditySettings(json_schema={"type": "hot"})


def test_an_extracted_answer_stands_in_the_prompt() -> None:
    chat = [{"role": "user", "content": "It is made of\ncopper. Of what is it made?"}]
    rows = [answered(text, task="NLU_QA", messages=chat) for text in ("of brass", "glass")]

    assert reasons("validity", rows, extractive=True) == ["not_in_prompt", "not_in_prompt"]
    assert reasons("validity", [answered("of  Copper", task="NLU_QA", messages=chat)], extractive=True) == [None]
    assert reasons("validity", rows) == [None, None]


def test_a_summary_is_shorter_than_its_source() -> None:
    rows = [answered(text, task="SUMMARIZATION") for text in ("Hot?", "It is asked whether a still is hot.")]

    assert reasons("validity", rows) == [None, "not_shorter"]
    assert reasons("validity", rows, max_summary_ratio=None) == [None, None]
