"""What goes into a teacher and what comes out of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One prompt to answer; ``key`` comes back with the answer."""

    key: str
    prompt_token_ids: list[int]
    seed: int


@dataclass(frozen=True)
class Completion:
    """One finished answer. ``finish_reason`` is vLLM's: stop, length, abort, error or repetition."""

    key: str
    token_ids: list[int]
    finish_reason: str
