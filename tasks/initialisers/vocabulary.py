"""Vocabulary trimming: a tokenizer that knows only the tokens of some texts, and still spells any other.

A byte-pair tokenizer joins the neighbours whose merge has the lowest rank, over and over. If every token of a text is kept, with
all tokens that it is merged from and all merges among these in their order, each step finds what it found before, so the text has
the same pieces. Any other text has the base tokens, characters or bytes, to fall back on.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tasks.core.errors import SettingsError
from tasks.core.records import Prompt
from tasks.core.rendering import render_example, render_prompt

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def tokenizer_definition(tokenizer: Any) -> dict[str, Any]:
    """Return what tokenizer.json says of a byte-pair tokenizer.

    Raises:
        SettingsError: If the tokenizer is of another kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    definition = {} if backend is None else json.loads(backend.to_str())
    model = definition.get("model", {})
    kind = model.get("type") or type(tokenizer).__name__
    if kind != "BPE" or model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise SettingsError(
            f"the model's tokenizer is {'BPE with marked subwords' if kind == 'BPE' else kind}, and trim_vocabulary works for "
            "byte-pair tokenizers (BPE) like those of Llama, Qwen, Phi and SmolLM only; leave it out"
        )
    return definition


def used_tokens(tokenizer: Any, prompts: Iterable[Prompt]) -> set[int]:
    """Return the ids of all tokens of prompts and of their references, rendered as in training."""
    used: set[int] = set()
    for prompt in prompts:
        used.update(render_prompt(tokenizer, prompt["messages"], prompt["text"]))
        for reference in prompt["references"]:
            # As in a dataset of references: plain text goes on after a space.
            answer = reference if prompt["text"] is None else f" {reference}"
            for part in render_example(tokenizer, prompt["messages"], prompt["text"], answer):
                used.update(part)
    return used - {None}  # what ends a plain text, if the tokenizer has no end


def trim_definition(definition: dict[str, Any], used: set[int]) -> tuple[dict[str, Any], list[int]]:
    """Return a tokenizer without the tokens that are not needed.

    Args:
        definition: What tokenizer.json says.
        used: Ids of the tokens to keep; base, special and added tokens are kept in any case.

    Returns:
        What the new tokenizer.json says, and the old ids of its tokens: the token with the new id ``i`` had the id ``ids[i]``.
    """
    model, added = definition["model"], definition["added_tokens"]
    vocabulary: dict[str, int] = model["vocab"]
    names = {number: token for token, number in vocabulary.items()}
    kept = {token for token in vocabulary if len(token) == 1 or _BYTE.fullmatch(token) or token == model.get("unk_token")}
    kept |= {token["content"] for token in added if token["content"] in vocabulary}
    kept |= _with_parts({names[number] for number in used if number in names}, model["merges"])
    ids = sorted({vocabulary[token] for token in kept} | {token["id"] for token in added})
    numbers = {old: new for new, old in enumerate(ids)}
    merges = [pair for pair in model["merges"] if {*pair, "".join(pair)} <= kept]
    trimmed = {
        **definition,
        "added_tokens": [{**token, "id": numbers[token["id"]]} for token in added],
        "model": {**model, "vocab": {names[old]: new for old, new in numbers.items() if old in names}, "merges": merges},
        "post_processor": _renumber_processor(definition.get("post_processor"), numbers),
    }
    if padding := definition.get("padding"):
        trimmed["padding"] = {**padding, "pad_id": numbers[padding["pad_id"]]}
    return trimmed, ids


def _with_parts(tokens: set[str], merges: list[tuple[str, str]]) -> set[str]:
    """Return tokens and all that they are merged from, by whichever merges."""
    parts: dict[str, set[str]] = defaultdict(set)
    for left, right in merges:
        parts[left + right] |= {left, right}
    found, waiting = set(tokens), list(tokens)
    while waiting:
        new = parts[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


def _renumber_processor(processor: dict[str, Any] | None, numbers: dict[int, int]) -> dict[str, Any] | None:
    """Return what adds tokens before and after a text with the new ids of these tokens."""
    if processor is None:
        return None
    renumbered = dict(processor)
    if "processors" in processor:
        renumbered["processors"] = [_renumber_processor(part, numbers) for part in processor["processors"]]
    if "special_tokens" in processor:
        renumbered["special_tokens"] = {
            name: {**token, "ids": [numbers[old] for old in token["ids"]]} for name, token in processor["special_tokens"].items()
        }
    for end in ("sep", "cls"):
        if end in processor:
            token, old = processor[end]
            renumbered[end] = [token, numbers[old]]
    return renumbered
