"""One endpoint's answers, speed and cost. What it weighs is not ours to see, so unlike an engine it needs no fresh process."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.core.errors import StageFailedError
from tasks.core.progress import Progress
from tasks.core.records import Prompt
from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.paid_answers import PaidAnswer, PaidAnswers
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.measured import Answer, Measurement
from tasks.teachers.settings import Sampling


def measure_endpoint(
    settings: EndpointSettings,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    runtime: EndpointRuntime,
    latency_requests: int,
    kept: Path,
) -> Measurement:
    """Let an endpoint answer the test prompts, all at once and then some of them again, one at a time.

    Args:
        settings: The endpoint.
        prompts: The test prompts, at least one.
        sampling: What decides an answer; ``structured_output.labels`` is resolved to ``choice`` by the caller.
        runtime: How the endpoint is asked.
        latency_requests: Requests sent one at a time.
        kept: File where answers are kept until the evaluation is finished, so that none is paid for twice.

    Returns:
        The result. A prompt that was refused or failed has an empty answer with the finish reason ``error``.

    Raises:
        SettingsError: If the endpoint denies access, does not know the model, or cannot be asked for such answers.
        BudgetExceededError: If the budget has no room for all requests.
        StageFailedError: If a smaller share of the prompts was answered than ``runtime.min_endpoint_success_ratio``.
    """
    requests = [Request(item["id"], [], seed=0, messages=tuple(item["messages"]), text=item["text"]) for item in prompts]
    paid = PaidAnswers(kept)
    with Endpoint(settings, sampling, None, runtime) as endpoint:
        endpoint.usage.answered_before = len(paid.rows)
        _answer(endpoint, requests, paid)
        answered = [request for request in requests if request.key in paid.rows]
        enough = len(answered) >= runtime.min_endpoint_success_ratio * len(requests)
        latencies = _time_alone(endpoint, answered[:latency_requests]) if enough else []
        if not latencies:
            alone = " but none that was asked alone" if enough else ""
            raise StageFailedError(
                f"the endpoint {settings.url} answered {len(answered)} of {len(requests)} test prompts{alone}, "
                f"wanted a share of {runtime.min_endpoint_success_ratio:.0%} (evaluation.endpoint.min_endpoint_success_ratio); "
                f"the others: {dict(endpoint.usage.failures)}. Check the endpoint and what it refuses, and run again: "
                "the answers so far are kept"
            )
    rows = paid.rows.values()
    seconds = sum(row.seconds for row in rows)
    missing = Answer(text="", finish_reason="error", completion_tokens=0)
    given = {
        row.id: Answer(text=row.text, finish_reason=row.finish_reason, completion_tokens=row.completion_tokens) for row in rows
    }
    return Measurement(
        answers={request.key: given.get(request.key, missing) for request in requests},
        longest_prompt_tokens=max(row.prompt_tokens for row in rows),
        latencies_seconds=latencies,
        items_per_second=len(rows) / seconds,
        tokens_per_second=sum(row.completion_tokens for row in rows) / seconds,
        peak_memory_bytes=None,
        cost_per_1k_requests=_cost_per_1k(list(rows), runtime),
    )


class _OneByOne:
    """A feed that gives a request only when the one before it is settled."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = iter(requests)
        self._taken: float | None = None

    def take(self) -> Request | None:
        if self._taken is not None:
            return None
        request = next(self._requests, None)
        self._taken = None if request is None else time.monotonic()
        return request

    def settled(self) -> float:
        """Make room for the next request and return the seconds since this one was taken."""
        seconds = time.monotonic() - (self._taken or 0.0)
        self._taken = None
        return seconds


def _answer(endpoint: Endpoint, requests: list[Request], paid: PaidAnswers) -> None:
    """Ask for every answer that is not there yet."""
    progress = Progress("evaluation: items", len(requests), done=len(paid.rows))
    last = time.monotonic()

    def keep(completion: Completion) -> None:
        nonlocal last
        progress.advance()
        if completion.problem is not None:
            return
        seconds, last = time.monotonic() - last, time.monotonic()
        paid.add(
            PaidAnswer(
                id=completion.key,
                text=completion.text or "",
                finish_reason=completion.finish_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                seconds=seconds,
            )
        )

    try:
        for completion in endpoint.stream(ListFeed([request for request in requests if request.key not in paid.rows])):
            keep(completion)
    except BaseException:  # a stop signal too: what is still under way is paid for
        for completion in endpoint.drain():
            keep(completion)
        raise


def _time_alone(endpoint: Endpoint, requests: list[Request]) -> list[float]:
    """Return the seconds that each request took with no other under way, those that failed left out."""
    feed = _OneByOne(requests)
    taken = [(feed.settled(), completion) for completion in endpoint.stream(feed)]
    return [seconds for seconds, completion in taken if completion.problem is None]


def _cost_per_1k(rows: list[PaidAnswer], runtime: EndpointRuntime) -> float | None:
    """Return what 1,000 answers cost, or None if there is no price or the endpoint does not tell tokens."""
    prices = (runtime.price_per_million_input_tokens, runtime.price_per_million_output_tokens)
    prompt_tokens, completion_tokens = sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)
    if prices == (None, None) or not prompt_tokens + completion_tokens:
        return None
    per_million = prompt_tokens * (prices[0] or 0.0) + completion_tokens * (prices[1] or 0.0)
    return per_million / len(rows) / 1000
