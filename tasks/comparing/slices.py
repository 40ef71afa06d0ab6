"""Quality on parts of the test: items that share a tag or a label, and the shorter, middle and longer prompts."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from tasks.comparing.items import Items
from tasks.core.records import Prompt
from tasks.metrics.score_intervals import mean_interval, ratio_interval
from tasks.renderers.schema import Slice
from tasks.task_types import TASK_TYPES

_MOST = 20
_MIN_ITEMS = 10
_THIRDS = ("shortest third", "middle third", "longest third")


def slice_items(items: Items) -> list[Slice]:
    """Return the quality of at most 20 parts of the items: prompts by length, then the largest parts by tag or label.

    Parts of fewer than 10 items say too little, and one that is all items says nothing new.
    """
    scored = items.scored
    parts = [list(_memberships(prompt)) for prompt in scored.prompts]
    sizes = Counter(part for own in parts for part in own)
    largest = sorted((part for part, size in sizes.items() if _MIN_ITEMS <= size < len(scored)), key=lambda part: -sizes[part])
    thirds = _thirds(scored.prompts)
    found = [
        _slice("prompt length", name, scored.where(thirds == third))
        for third, name in enumerate(_THIRDS)
        if (thirds == third).sum() >= _MIN_ITEMS
    ]
    found += [_slice(*part, scored.where(part in own for own in parts)) for part in largest[: _MOST - len(found)]]
    return found


def prompt_text(prompt: Prompt) -> str:
    """Return all that a prompt says, turn by turn."""
    if prompt["text"] is not None:
        return prompt["text"]
    return "\n".join(message["content"] for message in prompt["messages"])


def _memberships(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """Return the parts that an item belongs to, each a field and its value."""
    yield from dict.fromkeys(prompt["tags"])
    if TASK_TYPES[prompt["task"]].is_closed and prompt["references"]:
        yield "label", prompt["references"][0]


def _thirds(prompts: list[Prompt]) -> np.ndarray:
    """Return which third by length each prompt is in; equal lengths are in one third."""
    lengths = np.array([len(prompt_text(prompt)) for prompt in prompts])
    if not len(lengths):
        return lengths
    return np.searchsorted(np.quantile(lengths, [1 / 3, 2 / 3]), lengths)


def _slice(field: str, value: str, items: Items) -> Slice:
    return Slice(
        field=field,
        value=value,
        items=len(items),
        scores={model: mean_interval(scores) for model, scores in items.scores.items()},
        retained=ratio_interval(items.scores["student"], items.scores["teacher"]),
    )
