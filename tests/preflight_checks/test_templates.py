"""A student's answers must survive its template, and end where it stops."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tasks.core.errors import ModelError, RefusedConversationError, SettingsError
from tasks.preflight_checks.templates import end_token_ids, require_round_trip
from tests.families import FAMILIES, family_model
from tests.models import CHAT_TEMPLATE, tiny_model, tiny_tokenizer

CHAT = [("user",)]
PLAIN: list[tuple[str, ...]] = [()]


def tokenizer_with(template: str | None = CHAT_TEMPLATE) -> Any:
    tokenizer: Any = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def ends_of(tokenizer: Any) -> set[int]:
    return {tokenizer.eos_token_id}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_chats_and_plain_texts_and_stops(tmp_path: Path, family: str) -> None:
    folder = family_model(family, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = end_token_ids(folder, tokenizer)

    assert tokenizer.eos_token_id in ends
    require_round_trip(tokenizer, ends, [("user",), ("system", "user"), ("user", "assistant", "user"), ()], reasoning=True)


def test_the_ends_are_those_of_generation_and_of_the_tokenizer(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6]}))
    assert end_token_ids(folder, tokenizer) == {5, 6, tokenizer.eos_token_id}

    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": 7}))
    assert end_token_ids(folder, tokenizer) == {7, tokenizer.eos_token_id}


def test_conversations_need_a_template_and_plain_texts_none() -> None:
    tokenizer = tokenizer_with(None)

    require_round_trip(tokenizer, ends_of(tokenizer), PLAIN, reasoning=False)
    with pytest.raises(ModelError, match=r"has no chat template; set prompts\.chat to false"):
        require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=False)


def test_a_template_whose_turns_end_with_another_token_than_generation_is_refused() -> None:
    tokenizer = tokenizer_with()

    with pytest.raises(SettingsError, match=r"<\|im_end\|>.* stops only at \[0\], so it would never stop; add the id"):
        require_round_trip(tokenizer, {0}, CHAT, reasoning=False)


def test_a_template_without_an_end_of_turn_is_refused() -> None:
    tokenizer = tokenizer_with(CHAT_TEMPLATE.replace("<|im_end|>", ""))

    with pytest.raises(SettingsError, match="would never stop"):
        require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=False)


def test_a_student_without_any_end_token_is_refused() -> None:
    tokenizer = tokenizer_with()
    tokenizer.eos_token = None

    with pytest.raises(SettingsError, match="has no end token, in neither"):
        require_round_trip(tokenizer, set(), CHAT, reasoning=False)
    with pytest.raises(SettingsError, match=r"has no end token \(eos_token\), which ends the answers to plain texts"):
        require_round_trip(tokenizer, {0}, PLAIN, reasoning=False)


def test_a_template_that_changes_answers_is_refused() -> None:
    tokenizer = tokenizer_with(CHAT_TEMPLATE.replace("message['content']", "message['content'] | upper"))

    with pytest.raises(SettingsError, match=r"changes an answer: 'It is hot\.' comes back as 'IT IS HOT\.'"):
        require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=False)


def test_a_template_that_drops_reasoning_is_refused_only_where_reasoning_is_trained_on() -> None:
    tokenizer = tokenizer_with(CHAT_TEMPLATE.replace("message['content']", "message['content'].split('</think>')[-1]"))

    require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=False)
    with pytest.raises(SettingsError, match=r"drops the reasoning between <think> marks that training\.train_on asks for"):
        require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=True)


def test_a_template_that_opens_answers_with_marks_of_its_own_is_taken() -> None:
    opened = "{{ '<think>\n\n</think>\n\n' if message['role'] == 'assistant' and '<think>' not in message['content'] }}"
    tokenizer = tokenizer_with(CHAT_TEMPLATE.replace("{{ message['content'] }}", f"{opened}{{{{ message['content'] }}}}"))

    require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=True)


def test_a_template_that_refuses_the_prompts_roles_is_refused() -> None:
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer = tokenizer_with(refusing + CHAT_TEMPLATE)

    require_round_trip(tokenizer, ends_of(tokenizer), CHAT, reasoning=False)
    with pytest.raises(RefusedConversationError, match="no system"):
        require_round_trip(tokenizer, ends_of(tokenizer), [*CHAT, ("system", "user")], reasoning=False)
