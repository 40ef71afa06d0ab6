"""A teacher is told how to go about a task, and only its answer is kept as the answer."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.records import Message
from tasks.generating.prompting import PromptingSettings, asked_messages, asked_text, read_answer

PLAIN = PromptingSettings()
GUIDED = PromptingSettings(enable_chain_of_thought=True, enable_chain_of_density=True, max_len_summary=40)
SYSTEM: Message = {"role": "system", "content": "Be brief."}
QUESTION: Message = {"role": "user", "content": "Is a still hot?"}
EARLIER: list[Message] = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
REASONED = ["NLI", "NLU_QA", "MATH", "CLASSIFICATION"]


@pytest.mark.parametrize("task", REASONED)
def test_a_teacher_is_told_to_reason_after_its_system_message(task: str) -> None:
    system, *others = asked_messages([SYSTEM, *EARLIER, QUESTION], task, GUIDED)
    assert others == [*EARLIER, QUESTION]
    assert system["role"] == "system"
    assert system["content"].startswith("Be brief.\n\nReason step by step")
    assert "'Answer:'" in system["content"]


def test_without_a_system_message_the_last_turn_of_the_user_says_it_so_that_any_template_takes_it() -> None:
    tool: Message = {"role": "tool", "content": "78 degrees"}
    *before, last, after = asked_messages([*EARLIER, QUESTION, tool], "MATH", GUIDED)
    assert (before, after) == (EARLIER, tool)
    assert last["role"] == "user"
    assert last["content"].startswith("Is a still hot?\n\nReason step by step")


def test_a_teacher_is_told_to_make_its_summary_denser_in_as_many_words_as_are_wanted() -> None:
    (told,) = asked_messages([QUESTION], "SUMMARIZATION", GUIDED)
    assert "at most 40 words" in told["content"]
    assert "'Summary:'" in told["content"]


def test_what_the_student_is_trained_on_stays_as_it_was() -> None:
    messages: list[Message] = [{**SYSTEM}, {**QUESTION}]
    asked_messages(messages, "MATH", GUIDED)
    assert messages == [SYSTEM, QUESTION]


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("CONVERSATION", GUIDED),
        *[(task, PLAIN) for task in [*REASONED, "SUMMARIZATION"]],
        ("MATH", PromptingSettings(enable_chain_of_density=True)),
        ("SUMMARIZATION", PromptingSettings(enable_chain_of_thought=True)),
    ],
)
def test_rows_of_other_tasks_are_asked_as_they_are_and_answered_by_all_that_is_written(
    task: str, settings: PromptingSettings
) -> None:
    assert asked_messages([SYSTEM, QUESTION], task, settings) == [SYSTEM, QUESTION]
    assert asked_text("A still is", task, settings) == "A still is"
    assert read_answer(" I reason.\nAnswer: yes\nSummary: no", task, settings) == (" I reason.\nAnswer: yes\nSummary: no", None)


def test_a_text_to_be_continued_comes_after_the_instruction() -> None:
    assert asked_text("A still is", "NLI", GUIDED).endswith("nothing else.\n\nA still is")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("Answer: yes", "yes"),
        ("answer:\nyes", "yes"),
        ("**Answer:** yes", "yes"),
        ("**Answer**: yes", "yes"),
        ("**Answer: yes**", "yes"),
        ("Answer: **yes**", "yes"),
        ("**Final Answer:**\n**yes**", "yes"),
        ("### Answer: yes", "yes"),
        ("Answer: **a** and **b**", "**a** and **b**"),
        ("Answer: 2**3", "2**3"),
        ("Answer: 1\n2\n", "1\n2"),
        ("Answer:", ""),
    ],
)
def test_the_answer_is_what_comes_after_the_marker_and_the_rest_is_the_reasoning(line: str, answer: str) -> None:
    reasoning = "The answer: not here.\n\nIt boils."
    assert read_answer(f"{reasoning}\n{line}", "MATH", GUIDED) == (answer, reasoning)


def test_the_last_marker_counts() -> None:
    text = "Answer: 4, or is it?\nNo.\nAnswer: 5"
    assert read_answer(text, "MATH", GUIDED) == ("5", "Answer: 4, or is it?\nNo.")


def test_an_answer_without_reasoning_has_none() -> None:
    assert read_answer("Answer: 5", "MATH", GUIDED) == ("5", None)


@pytest.mark.parametrize("task", ["MATH", "SUMMARIZATION"])
def test_without_a_marker_there_is_no_answer_so_that_it_is_rejected(task: str) -> None:
    assert read_answer("It must be 5.\n", task, GUIDED) == ("", "It must be 5.")
    assert read_answer("", task, GUIDED) == ("", None)


@pytest.mark.parametrize("form", ["Summary: {}", "**Summary {}:** it is hot", "Summary {}: it is hot"])
def test_the_densest_summary_is_the_answer_and_those_before_it_the_reasoning(form: str) -> None:
    summaries = [form.format(number) for number in range(1, 6)]
    answer, reasoning = read_answer("\n".join(summaries), "SUMMARIZATION", GUIDED)
    assert answer == summaries[-1].partition(":")[2].strip("* ")
    assert reasoning == "\n".join(summaries[:-1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"chat_template_kwargs": {"tokenize": False, "enable_thinking": True}},
        {"max_len_summary": 0},
        {"turns": "first"},
        {"over_long_prompts": "truncate"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PromptingSettings.model_validate(wrong)
