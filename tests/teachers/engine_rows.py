"""Requests to an engine, and its answers by their key: what the tests of the vLLM engine share."""

from collections.abc import Iterator
from pathlib import Path

from transformers import AutoTokenizer

from tasks.core.rendering import render_prompt
from tasks.teachers.exchange import Completion, Request


def requests_of(model: Path, count: int) -> list[Request]:
    """Return chats of many lengths as a model's requests, each with a seed of its own."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    contents = [f"item {number} {'x' * (number * 7 % 24)}" for number in range(count)]
    return [
        Request(f"row-{number}", render_prompt(tokenizer, [{"role": "user", "content": content}], None), seed=number)
        for number, content in enumerate(contents)
    ]


def by_key(completions: Iterator[Completion]) -> dict[str, Completion]:
    """Return completions by their key, refusing a second one of the same key."""
    found: dict[str, Completion] = {}
    for completion in completions:
        assert completion.key not in found
        found[completion.key] = completion
    return found
