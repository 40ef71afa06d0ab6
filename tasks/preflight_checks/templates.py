"""Whether a student's answers survive its chat template and end where the student stops."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.errors import SettingsError
from tasks.core.records import Message
from tasks.core.rendering import render_example

_ANSWERS = (
    "It is hot.",
    "1. Open the tap:\n\n    def open(tap):\n        return 42\n\n2. Wait.",
    '{"label": "neutral", "n": [1, 2]}',
)
_REASONED = "<think>\nThe still is hot, so the spirit is warm.\n</think>\n\nIt is warm."
_SHOWN_TOKENS = 3


def end_token_ids(folder: Path, tokenizer: Any) -> set[int]:
    """Return the token ids at which a model stops when it answers.

    Args:
        folder: The model's files. Without a ``generation_config.json``, ``config.json`` decides, as in Transformers and vLLM.
        tokenizer: Its Transformers tokenizer; vLLM stops at its end token too.
    """
    file = next((file for name in ("generation_config.json", "config.json") if (file := folder / name).is_file()), None)
    ends = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id") if file is not None else None
    return {end for end in [*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id] if end is not None}


def require_round_trip(tokenizer: Any, ends: set[int], roles: Iterable[tuple[str, ...]], reasoning: bool) -> None:
    """Refuse a student that would learn from something else than its answers, or would never stop.

    Args:
        tokenizer: The student's Transformers tokenizer.
        ends: The token ids at which it stops.
        roles: The roles of the conversations that it is trained on, each up to the answer; an empty one stands for a plain text.
        reasoning: Whether reasoning is trained on, between ``<think>`` marks.

    Raises:
        ModelError: If there is no chat template for conversations, or it refuses one of them.
        SettingsError: If an answer does not come back, or has no end.
    """
    if not ends:
        raise SettingsError(
            f"the student {tokenizer.name_or_path} has no end token, in neither generation_config.json nor its tokenizer, so "
            "that its answers would never stop; add eos_token_id there, or take a model that was trained to answer"
        )
    for conversation in roles:
        messages = [Message(role=role, content=f"Message {number}.") for number, role in enumerate(conversation, start=1)]
        text = None if messages else "Is a still hot?\nAnswer:"
        if text is not None and tokenizer.eos_token_id is None:
            raise SettingsError(
                f"the tokenizer of {tokenizer.name_or_path} has no end token (eos_token), which ends the answers to plain texts; "
                "name one in its tokenizer_config.json, or take another student"
            )
        for answer in _ANSWERS if text is None else [f" {answer}" for answer in _ANSWERS]:
            _require_answer(tokenizer, ends, messages, text, answer, "changes an answer")
        if reasoning:
            lost = "drops the reasoning between <think> marks that training.train_on asks for, or changes it"
            _require_answer(tokenizer, ends, messages, text, _REASONED, lost)


def _require_answer(
    tokenizer: Any, ends: set[int], messages: list[Message], text: str | None, answer: str, complaint: str
) -> None:
    _, completion = render_example(tokenizer, messages, text, answer)
    end = next((place for place, token in enumerate(completion) if token in ends), None)
    if end is None:
        last = completion[-_SHOWN_TOKENS:]
        raise SettingsError(
            f"in the chat template of {tokenizer.name_or_path} an answer ends with the tokens {last} "
            f"({_decode(tokenizer, last)!r}), and the student stops only at {sorted(ends)}, so it would never stop; add the "
            "id of the token that ends a turn to eos_token_id in its generation_config.json, or set prompts.chat to false"
        )
    got = _decode(tokenizer, completion[:end])
    if not got.strip().endswith(answer.strip()):  # a template may open with marks of its own, such as an empty <think> block
        raise SettingsError(
            f"the chat template or the tokenizer of {tokenizer.name_or_path} {complaint}: {answer!r} comes back as {got!r}; "
            "take another student, or set prompts.chat to false"
        )


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
