"""From a prompt to token ids: what is trained on is what the model is asked later, token by token."""

from typing import Any

import pytest

from tasks.core.errors import ModelError
from tasks.core.records import Message
from tasks.core.rendering import render_example, render_prompt
from tests.models import CHAT_TEMPLATE, tiny_tokenizer

QUESTION: list[Message] = [
    {"role": "system", "content": "Answer with one word."},
    {"role": "user", "content": "Is a still hot?"},
]


@pytest.fixture
def tokenizer() -> Any:
    return tiny_tokenizer()


def test_a_conversation_is_rendered_up_to_where_the_model_is_to_answer(tokenizer: Any) -> None:
    assert tokenizer.decode(render_prompt(tokenizer, QUESTION, None)) == (
        "<|im_start|>system\nAnswer with one word.<|im_end|>\n"
        "<|im_start|>user\nIs a still hot?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_plain_text_is_continued_as_it_stands(tokenizer: Any) -> None:
    assert tokenizer.decode(render_prompt(tokenizer, [], "A still is")) == "A still is"


def test_an_example_of_a_conversation_is_its_prompt_and_the_answer_with_the_end_of_the_turn(tokenizer: Any) -> None:
    prompt, completion = render_example(tokenizer, QUESTION, None, "yes")
    assert prompt == render_prompt(tokenizer, QUESTION, None)
    assert tokenizer.decode(completion) == "yes<|im_end|>\n"


def test_an_example_of_plain_text_is_its_prompt_and_the_answer_with_the_end_token(tokenizer: Any) -> None:
    prompt, completion = render_example(tokenizer, [], "A still is", " hot")
    assert prompt == render_prompt(tokenizer, [], "A still is")
    assert tokenizer.decode(completion) == " hot<|im_end|>"
    assert completion[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("answer", ["yes", " yes", "", "ü 漢 🥃", "<|im_end|>", "\nyes", "\n\n\nyes", "  \n  yes", " "])
def test_whatever_the_answer_begins_with_the_prompt_stays_the_same(tokenizer: Any, answer: str) -> None:
    prompt, completion = render_example(tokenizer, QUESTION, None, answer)
    assert prompt == render_prompt(tokenizer, QUESTION, None)
    assert tokenizer.decode(completion) == f"{answer}<|im_end|>\n"


def test_a_template_that_renders_a_prompt_differently_once_it_is_answered_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT_TEMPLATE.replace("assistant\n", "assistant\n<think>\n</think>\n")
    with pytest.raises(ModelError, match="renders a prompt differently once it is answered"):
        render_example(tokenizer, QUESTION, None, "yes")


def test_a_conversation_needs_a_chat_template(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match=r"set prompts\.chat to false"):
        render_prompt(tokenizer, QUESTION, None)


def test_variables_reach_the_chat_template(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT_TEMPLATE + "{% if enable_thinking is false %}<think></think>{% endif %}"
    thinking = render_prompt(tokenizer, QUESTION, None)
    silent = render_prompt(tokenizer, QUESTION, None, chat_template_kwargs={"enable_thinking": False})
    assert tokenizer.decode(silent) == tokenizer.decode(thinking) + "<think></think>"


def test_a_conversation_that_the_template_refuses_is_an_error_that_tells_its_roles_and_not_its_content(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    with pytest.raises(ModelError, match=r"the roles \['system', 'user'\]: no system role") as error:
        render_prompt(tokenizer, QUESTION, None)
    assert "still" not in str(error.value)
