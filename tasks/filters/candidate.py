"""What a rule sees: one answer, and what all rules of a run share."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.core.records import Message


@dataclass(frozen=True)
class Candidate:
    """An answered prompt that may become a training example."""

    task: str
    messages: list[Message]
    text: str | None
    completion: str
    finish_reason: str


@dataclass(frozen=True)
class FilterContext:
    """The settings and tools of a run.

    ``count_tokens`` returns how many of the student's tokens a candidate's prompt and completion have.
    """

    labels: list[str]
    max_length_tokens: int | None
    count_tokens: Callable[[Candidate], tuple[int, int]]
