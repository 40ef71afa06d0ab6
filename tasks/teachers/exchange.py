"""What goes into a teacher and what comes out of it."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tasks.core.records import Message


@dataclass(frozen=True)
class Request:
    """One prompt to answer; ``key`` comes back with the answer.

    An engine reads the token ids; an endpoint, which renders prompts itself, reads the messages or the text.
    """

    key: str
    prompt_token_ids: list[int]
    seed: int
    messages: tuple[Message, ...] = ()
    text: str | None = None


@dataclass(frozen=True)
class GivenText:
    """What a model is taken through instead of choosing it: the prompt, and what is said after it."""

    key: str
    prompt_token_ids: list[int]
    token_ids: list[int]


@dataclass(frozen=True)
class TokenLogprobs:
    """Natural log-probabilities of an answer of n tokens; row i is about token i, given everything before it."""

    sampled: np.ndarray
    """float16 [n]: of the tokens of the answer."""

    top_ids: np.ndarray
    """uint32 [n, k]: the k candidates, likeliest first; or drawn ids, see ``tasks/teachers/logprobs.py``."""

    top: np.ndarray
    """float16 [n, k]: of the candidates; of drawn ids, the logarithm of their importance weight."""


@dataclass(frozen=True)
class Completion:
    """One answer, finished or given up."""

    key: str
    token_ids: list[int]
    """Empty when the teacher does not tell them."""

    finish_reason: str
    """stop, length, repetition, content_filter; abort or error when the teacher failed; refused when it cannot answer this."""

    text: str | None = None
    """The answer as the teacher decoded it; None: decode ``token_ids``."""

    reasoning: str | None = None
    """Thinking that the teacher kept apart."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    first_token_seconds: float | None = field(default=None, compare=False)
    """From when the teacher took the request to its first token; None where it does not tell. No part of what was answered."""

    per_token_seconds: float | None = field(default=None, compare=False)
    """Of each token after the first, on average; None where it does not tell, or there is none."""

    logprobs: TokenLogprobs | None = None

    problem: str | None = None
    """Why there is no answer, in one sentence without prompt text; for error, abort and refused."""


class Feed(Protocol):
    """Where a teacher takes its requests from, as it needs them."""

    def take(self) -> Request | None:
        """Return the next request; None when there is none now. Finished answers may bring further ones."""
        ...


class Teacher(Protocol):
    """Answers requests, in any order, many at once."""

    def stream(self, feed: Feed) -> Iterator[Completion]:
        """Yield every request's completion as it finishes, until nothing is under way and the feed is empty."""
        ...

    def drain(self) -> list[Completion]:
        """Return what still came in after ``stream`` was left early; what is paid for is not thrown away."""
        ...

    def committed(self, keys: AbstractSet[str]) -> None:
        """Take note that the answers to these requests are in the ledger, by this run or an earlier one."""
        ...


class ListFeed:
    """A feed of requests that are all known beforehand."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = iter(requests)

    def take(self) -> Request | None:
        """Return the next request, or None after the last."""
        return next(self._requests, None)
