"""Partitions of the prompts: ranges of a stable hash, cut so that every partition has as much left to do."""

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel

_DIGITS = 16


class Span(BaseModel):
    """The prompts whose position is at least ``lower`` and less than ``upper``; None: no bound."""

    lower: str = "0" * _DIGITS
    upper: str | None = None

    def __contains__(self, prompt_id: str) -> bool:
        """Return whether a prompt, by its id, belongs to this partition."""
        position = _position(prompt_id)
        return self.lower <= position and (self.upper is None or position < self.upper)


def cut_spans(unanswered: Sequence[str], partitions: int) -> list[Span]:
    """Divide the prompts so that what is still unanswered is spread evenly, also after a run that was stopped half way.

    Args:
        unanswered: Ids of the prompts that still need an answer.
        partitions: Partitions wanted; fewer come back if there are fewer prompts.

    Returns:
        Spans that cover every possible prompt, each once, in order.
    """
    positions = sorted(map(_position, unanswered))
    count = max(1, min(partitions, len(set(positions))))
    bounds = sorted({positions[len(positions) * part // count] for part in range(1, count)})
    edges = ["0" * _DIGITS, *bounds]
    return [Span(lower=lower, upper=upper) for lower, upper in zip(edges, [*bounds, None], strict=True)]


def _position(prompt_id: str) -> str:
    return hashlib.sha256(prompt_id.encode()).hexdigest()[:_DIGITS]
