"""Thinking is kept apart from the answer, however the tokenizer marks it; an unfit parser is refused before any answer."""

import re
from typing import Any

import pytest
from tokenizers import AddedToken

from tasks.core.errors import SettingsError
from tests.models import tiny_tokenizer

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")

from tasks.generating.reasoning import ReasoningSplitter

PARSERS = ["deepseek_r1", "qwen3"]


@pytest.fixture(params=[True, False], ids=["special", "plain"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """A tokenizer that has the marks of thinking, as special tokens or as plain ones: both kinds exist."""
    tokenizer: Any = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(mark, special=request.param) for mark in ("<think>", "</think>")])
    return tokenizer


def split(tokenizer: Any, parser_name: str, text: str, **variables: Any) -> tuple[str, str | None]:
    return ReasoningSplitter(parser_name, tokenizer, variables).split(tokenizer(text)["input_ids"])


@pytest.mark.parametrize("parser_name", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "<think>\nIt boils.\n</think>\n\nyes<|im_end|>",
        "<think>It boils.</think>yes",
        "It boils.\n</think>\n\nyes<|im_end|>",  # the template opened the thinking, in the prompt
    ],
)
def test_thinking_is_kept_apart_without_marks_and_ends_of_turns(tokenizer: Any, parser_name: str, text: str) -> None:
    assert split(tokenizer, parser_name, text) == ("yes", "It boils.")


@pytest.mark.parametrize("parser_name", PARSERS)
@pytest.mark.parametrize("text", ["<think>It boils.", "<think>It boils.</think>", "<think>It boils.</think>\n\n<|im_end|>"])
def test_thinking_without_an_answer_leaves_the_answer_empty(tokenizer: Any, parser_name: str, text: str) -> None:
    assert split(tokenizer, parser_name, text) == ("", "It boils.")


def test_only_the_space_around_an_answer_goes(tokenizer: Any) -> None:
    answer = "ü 漢 🥃\n\n  * indented\n"
    assert split(tokenizer, "qwen3", f"<think>a</think>\n\n{answer}<|im_end|>") == (answer.strip(), "a")


@pytest.mark.parametrize("parser_name", PARSERS)
def test_an_empty_completion_is_an_empty_answer(tokenizer: Any, parser_name: str) -> None:
    assert split(tokenizer, parser_name, "") == ("", None)


def test_a_model_that_was_told_not_to_think_answers_at_once(tokenizer: Any) -> None:
    assert split(tokenizer, "qwen3", "yes<|im_end|>", enable_thinking=False) == ("yes", None)
    assert split(tokenizer, "qwen3", "yes<|im_end|>", enable_thinking=True) == ("", "yes")


def test_one_splitter_serves_many_answers(tokenizer: Any) -> None:
    splitter = ReasoningSplitter("qwen3", tokenizer, {})
    answers = [splitter.split(tokenizer(f"<think>{number}</think>no {number}")["input_ids"]) for number in range(20)]
    assert answers == [(f"no {number}", str(number)) for number in range(20)]


def test_an_unknown_parser_is_refused_with_the_names_near_it(tokenizer: Any) -> None:
    with pytest.raises(SettingsError, match=r"no reasoning parser 'deepseek-r1'; take one of .*'deepseek_r1'"):
        ReasoningSplitter("deepseek-r1", tokenizer, {})
    with pytest.raises(SettingsError, match=r"take one of .*'qwen3'"):
        ReasoningSplitter("???", tokenizer, {})


def test_a_parser_whose_marks_the_tokenizer_lacks_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'deepseek_r1' cannot split answers of .*could not locate think start/end tokens"):
        ReasoningSplitter("deepseek_r1", tiny_tokenizer(), {})


@pytest.mark.parametrize(
    "parser_name", ["openai_gptoss", "cohere_command3", "olmo3", "hf", "mistral", "k2_horizon", "poolside_v1"]
)
def test_a_parser_that_cannot_split_here_is_refused_before_any_answer(tokenizer: Any, parser_name: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{parser_name!r} cannot split answers of")):
        ReasoningSplitter(parser_name, tokenizer, {})
