"""The texts that models are taken through, as token ids."""

from collections.abc import Sequence
from typing import Any, TypeVar

from tasks.core.errors import ModelError
from tasks.core.records import Prompt
from tasks.core.rendering import render_example
from tasks.fidelity.rows import FidelityRow

T = TypeVar("T")


def reference_tokens(tokenizer: Any, item: Prompt) -> tuple[list[int], list[int]] | None:
    """Return the token ids of a prompt and of its first reference, with what ends a turn.

    Returns:
        None where there is no reference, or the chat template shows a prompt otherwise once it is answered.
    """
    if not item["references"]:
        return None
    # Plain text is continued where the prompt stops, so its answer starts with the space between the words.
    reference = item["references"][0] if item["text"] is None else f" {item['references'][0]}"
    try:
        return render_example(tokenizer, item["messages"], item["text"], reference)
    except ModelError:
        return None


def chosen(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most so many of the test items, evenly spread over all: the same ones for every model."""
    return items[:: -(-len(items) // most)] if items else items


def empty_row(item: Prompt) -> FidelityRow:
    """Return the row of an item of which nothing is known yet."""
    return FidelityRow(
        id=item["id"],
        answer_tokens=0,
        answer_nats=0.0,
        divergence_nats=0.0,
        agreeing_tokens=0,
        covered=0.0,
        reference_tokens=0,
        reference_nats=0.0,
    )
