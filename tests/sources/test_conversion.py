"""What a row says becomes a prompt, or the reason why it is none."""

from decimal import Decimal
from typing import Any, get_args

import pytest

from tasks.core.records import Prompt, Split
from tasks.sources.conversion import NOT_SELECTED, row_prompt
from tasks.sources.row import SourceRow
from tasks.sources.settings import PromptsSettings, TaskName
from tasks.task_types import TASK_TYPES

USER, ASSISTANT = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": " 4 "}
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
NAN = float("nan")
CSV = PromptsSettings(train=("a.csv",), reference_field="answer")


def converted(values: dict[str, Any], split: Split = "train", **settings: Any) -> Prompt | str:
    """Return what becomes of a row, whose field `answer` is its reference."""
    chosen = {"train": ["a.jsonl"], "reference_field": "answer", **settings}
    return row_prompt(SourceRow("a.jsonl", 1, values), split, PromptsSettings.model_validate(chosen))


def prompt(values: dict[str, Any], split: Split = "train", **settings: Any) -> Prompt:
    made = converted(values, split, **settings)
    assert isinstance(made, dict)
    return made


def test_plain_text_is_kept_as_it_stands() -> None:
    made = prompt({"prompt": " 1 + 1?"}, chat=False, template="{prompt}\nAnswer:", system="not added")
    assert (made["text"], made["messages"]) == (" 1 + 1?\nAnswer:", [])


def test_messages_are_taken_as_they_are() -> None:
    made = prompt({"messages": [*HELLO, USER], "answer": 4}, system="not added", template="{not used}")
    assert (made["messages"], made["text"], made["references"]) == ([*HELLO, USER], None, ["4"])


def test_what_the_assistant_says_last_is_the_reference_and_no_part_of_the_prompt() -> None:
    made = prompt({"messages": [*HELLO, USER, ASSISTANT]}, split="test")
    assert (made["messages"], made["references"]) == ([*HELLO, USER], ["4"])


@pytest.mark.parametrize(("answer", "reference"), [("four", "four"), (" ", "4"), (None, "4")])
def test_a_reference_of_the_rows_own_comes_first(answer: str | None, reference: str) -> None:
    made = prompt({"messages": [USER, ASSISTANT], "answer": answer})
    assert (made["messages"], made["references"]) == ([USER], [reference])


def test_an_assistant_that_says_two_things_last_has_said_both() -> None:
    made = prompt({"messages": [USER, {**ASSISTANT, "content": "Let me see."}, ASSISTANT]})
    assert (made["messages"], made["references"]) == ([USER], ["Let me see.\n 4"])


def test_fields_are_kept_as_tags_where_a_row_has_them() -> None:
    row = {"prompt": "a", "subject": "ü", "level": 0, "fair": True, "source": None, "weight": NAN}
    fields = ["subject", "level", "fair", "source", "weight", "length"]
    assert prompt(row, tag_fields=fields)["tags"] == [("subject", "ü"), ("level", "0"), ("fair", "True")]


def test_a_row_may_say_its_own_task() -> None:
    assert prompt({"prompt": "a", "kind": "MATH"}, task_field="kind", task="NLI")["task"] == "MATH"
    assert prompt({"prompt": "a", "kind": "MATH"}, task="NLI")["task"] == "NLI"


@pytest.mark.parametrize("row", [{"kind": "math"}, {"kind": ""}, {"kind": None}, {"kind": NAN}, {"kind": ["MATH"]}, {}])
def test_a_task_that_is_none_sets_the_row_aside(row: dict[str, Any]) -> None:
    assert converted({"prompt": "a", **row}, task_field="kind") == "unknown_task"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "developer", "content": "a"}, USER], "unknown_role"),
        ([HELLO[1]], "no_user_turn"),
        ([{"role": "system", "content": "a"}], "no_user_turn"),
        ([], "no_user_turn"),
        ([USER, "b"], "missing_field"),
        ([{"role": "user"}], "missing_field"),
        ([{"role": 1, "content": "a"}], "missing_field"),
        ([USER, {"role": "assistant", "content": None}], "missing_field"),
        ([{**USER, "content": " "}, ASSISTANT], "empty_prompt"),
        ([USER, {**ASSISTANT, "content": " "}], "missing_reference"),
    ],
)
def test_a_conversation_that_cannot_be_answered_is_set_aside(messages: list[Any], reason: str) -> None:
    assert converted({"messages": messages}, split="test", task="MATH") == reason


def test_a_tool_may_speak_last() -> None:
    messages = [USER, HELLO[1], {"role": "tool", "content": "4"}]
    assert prompt({"messages": messages})["messages"] == messages


def test_an_id_that_is_missing_sets_the_row_aside() -> None:
    assert prompt({"prompt": "a", "id": 7}, id_field="id")["id"] == "7"
    assert [converted({"prompt": "a", "id": missing}, id_field="id") for missing in (None, NAN)] == ["missing_id"] * 2


def test_rows_that_are_left_out_or_unreadable_say_so() -> None:
    assert converted({"prompt": "a", "level": 1}, keep_where={"level": ["2"]}) == NOT_SELECTED
    assert prompt({"prompt": "a", "level": 2.0}, keep_where={"level": ["2"]}, tag_fields=["level"])["tags"] == [("level", "2")]
    broken = SourceRow("a.jsonl", 1, {}, "not_json")
    assert row_prompt(broken, "train", PromptsSettings(train=("a.jsonl",), keep_where={"level": ("2",)})) == "not_json"


@pytest.mark.parametrize(
    ("given", "references"),
    [
        (["Paris", " paris ", "", None, "Paris"], ["Paris", "paris"]),
        ([1, 2.5], ["1", "2.5"]),
        (72.0, ["72"]),
        (Decimal("1.50"), ["1.5"]),
        (-1e20, ["-1e+20"]),
        ([], []),
        ("['a', 'b']", ["['a', 'b']"]),
    ],
)
def test_all_accepted_answers_are_kept_in_their_order(given: Any, references: list[str]) -> None:
    assert prompt({"prompt": "a", "answer": given})["references"] == references


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"text": ["a"]}, "bad_reference"),
        (True, "bad_reference"),
        ([["a"]], "bad_reference"),
        (b"a", "bad_reference"),
        ([1, NAN], "not_a_number"),
        (float("inf"), "not_a_number"),
    ],
)
def test_what_has_no_one_way_to_be_written_is_no_reference(given: Any, reason: str) -> None:
    assert converted({"prompt": "a", "answer": given}) == reason


@pytest.mark.parametrize("text", ["['Paris', \"l'Isle\"]", " ['Paris'\n 'Lutetia'] ", "[\"l'Isle\", 'Paris']"])
def test_a_list_that_a_csv_file_has_as_python_prints_it_is_no_reference(text: str) -> None:
    assert row_prompt(SourceRow("a.csv", 2, {"prompt": "a", "answer": text}), "train", CSV) == "list_as_text"


@pytest.mark.parametrize("text", ["[0, 1)", '["Paris"]', "['a'] and more"])
def test_other_brackets_are_text_in_a_csv_file_too(text: str) -> None:
    made = row_prompt(SourceRow("a.csv", 2, {"prompt": "a", "answer": text}), "train", CSV)
    assert isinstance(made, dict) and made["references"] == [text]


def test_a_conversation_may_be_tested_without_a_reference() -> None:
    assert prompt({"prompt": "a"}, split="test", task="CONVERSATION")["references"] == []
    assert converted({"prompt": "a"}, split="test", task="SUMMARIZATION") == "missing_reference"


def test_the_form_lists_every_kind_of_task() -> None:
    assert set(get_args(TaskName)) == set(TASK_TYPES)
