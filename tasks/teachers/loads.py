"""What a teacher takes under load: the same number of requests always under way, the next one sent when one is answered.

Such a closed loop is what so many users do who each wait for their answer. Requests have the test's prompts and natural answers,
over and over if there are fewer prompts than requests; an engine may then still have a prompt's keys and values. Requests per
second are over the whole of it, from the first request to the last answer, as ``vllm bench serve`` reckons them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Protocol

import numpy as np
from pydantic import BaseModel

from tasks.teachers.exchange import Completion, Feed, Request
from tasks.teachers.serving import Load, Quantiles

_ROUNDS = 4
_MIN_REQUESTS = 8
_ALWAYS_SENT = 5  # also where time is up: fewer have no median worth an interval


class LoadPlan(BaseModel):
    """How many requests are sent at which concurrency."""

    concurrencies: tuple[int, ...]
    """Requests under way; 1 comes first whether it is named or not."""
    alone_requests: int
    """Sent one at a time."""
    max_requests: int
    """Most of them at any other concurrency, unless that is higher still."""
    max_seconds: float
    """When no more are sent at one concurrency."""

    @property
    def levels(self) -> list[int]:
        """Return the concurrencies, lowest first."""
        return sorted({1, *self.concurrencies})

    def requests(self, concurrency: int, prompts: int) -> int:
        """Return how many requests are sent if time allows.

        Args:
            concurrency: Requests under way; four rounds of as many are sent, and never less than one.
            prompts: How many there are to ask; alone, each is asked once at most.
        """
        if concurrency == 1:
            return min(self.alone_requests, prompts)
        return max(concurrency, min(max(_ROUNDS * concurrency, _MIN_REQUESTS), self.max_requests))


class Counter(Protocol):
    """Takes note of progress."""

    def advance(self, units: int = 1) -> None:
        """Count finished units."""
        ...


def measure_load(
    stream: Callable[[Feed], Iterator[Completion]],
    prompts: Sequence[Request],
    concurrency: int,
    plan: LoadPlan,
    begin: Callable[[str, int], Counter],
) -> tuple[Load, list[float]] | None:
    """Keep a number of requests under way and time them.

    Args:
        stream: The teacher's; it may take as many requests as the feed gives.
        prompts: What is asked, at least one.
        concurrency: Requests under way.
        plan: How many requests, and for how long at most.
        begin: Starts a count of progress, given what is counted and how many in all.

    Returns:
        The figures, and the seconds that each request took, in the order of the answers; None if no request was answered.
    """
    wanted = plan.requests(concurrency, len(prompts))
    progress = begin(f"evaluation: requests, {concurrency} at once", wanted)
    started = time.monotonic()
    loop = _ClosedLoop(prompts, concurrency, wanted, started + plan.max_seconds)
    latencies, answered = list[float](), list[Completion]()
    for completion in stream(loop):
        seconds = loop.settled(completion.key)
        progress.advance()
        if completion.problem is None:
            latencies.append(seconds)
            answered.append(completion)
    if not answered:
        return None
    return _figures(concurrency, answered, latencies, time.monotonic() - started), latencies


def quantiles(values: Sequence[float]) -> Quantiles:
    """Return the median and the 95th percentile, interpolated as numpy does."""
    p50, p95 = np.quantile(np.asarray(values, dtype=float), [0.5, 0.95])
    return Quantiles(p50=float(p50), p95=float(p95))


def shortfalls(plan: LoadPlan, loads: Sequence[Load], prompts: int) -> list[str]:
    """Return, in words, at which concurrency fewer requests were answered than the plan wanted.

    Args:
        plan: What was wanted.
        loads: What was found.
        prompts: How many there were to ask.
    """
    return [
        f"{load.requests} of {wanted} requests were answered with {load.concurrency} at once; "
        f"no more are sent after evaluation.load_seconds = {plan.max_seconds:g}"
        for load in loads
        if load.requests < (wanted := plan.requests(load.concurrency, prompts))
    ]


def _figures(concurrency: int, answered: Sequence[Completion], latencies: Sequence[float], seconds: float) -> Load:
    first = [row.first_token_seconds for row in answered if row.first_token_seconds is not None]
    later = [row.per_token_seconds for row in answered if row.per_token_seconds is not None]
    return Load(
        concurrency=concurrency,
        requests=len(answered),
        first_token_seconds=quantiles(first) if first else None,
        per_token_seconds=quantiles(later) if later else None,
        latency_seconds=quantiles(latencies),
        requests_per_second=len(answered) / seconds,
        output_tokens_per_second=sum(row.completion_tokens for row in answered) / seconds,
    )


class _ClosedLoop:
    """A feed that gives the next request only when fewer than a number of them are under way."""

    def __init__(self, prompts: Sequence[Request], concurrency: int, count: int, deadline: float) -> None:
        named = (replace(prompt, key=f"load-{concurrency}-{number}") for number, prompt in enumerate(cycle(prompts)))
        self._requests = islice(named, count)
        self._concurrency, self._deadline = concurrency, deadline
        self._always = max(concurrency, _ALWAYS_SENT)
        self._taken: dict[str, float] = {}
        self._sent = 0

    def take(self) -> Request | None:
        now = time.monotonic()
        if len(self._taken) >= self._concurrency or (now > self._deadline and self._sent >= self._always):
            return None
        request = next(self._requests, None)
        if request is not None:
            self._taken[request.key] = now
            self._sent += 1
        return request

    def settled(self, key: str) -> float:
        """Make room for the next request and return the seconds since this one was taken."""
        return time.monotonic() - self._taken.pop(key)
