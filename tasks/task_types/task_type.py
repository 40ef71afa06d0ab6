"""What a kind of task is: how its answers are read and scored, and what is usual for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TaskType:
    """A kind of task. An answer that was read is canonical: two that differ only in form are alike if they can be."""

    name: str
    metric: str
    """The primary metric of one answer, in [0, 1]: what the verdict is about."""
    read: Callable[[str, Sequence[str]], str | None]
    """Maps a completion and the labels of the prompts artefact to the canonical answer, or to None: invalid."""
    score: Callable[[str, Sequence[str]], dict[str, float]]
    """Maps a canonical answer and its references to the metrics of one answer, the primary one among them."""
    same: Callable[[str, str], bool]
    """Tells whether two canonical answers say the same."""
    corpus_metrics: tuple[str, ...] = ()
    """Names in ``CORPUS_METRICS``, computed over all items."""
    is_closed: bool = False
    """Answers come from a closed set of labels."""
    is_open: bool = False
    """Many answers are right, so that whether two models give the same text says nothing."""
    needs_references: bool = True
    """Without a reference a test row says nothing; where it is False, a judge can still compare two models."""
    guidance: Literal["chain_of_thought", "chain_of_density"] | None = None
    """How a teacher may be told to go about it."""
    max_new_tokens: int = 512
    """The usual limit of an answer."""
    min_examples: int = 65
    """The fewest training rows that are worth a training."""
