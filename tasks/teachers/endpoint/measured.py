"""One endpoint's answers, speed and cost. What it weighs is not ours to see, so unlike an engine it needs no fresh process."""

import time
from collections.abc import Sequence
from pathlib import Path

from tasks.core.errors import BudgetExceededError, StageFailedError
from tasks.core.progress import Progress, stage_logger
from tasks.core.records import Prompt
from tasks.metrics.intervals import bootstrap_median
from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.paid_answers import PaidAnswer, PaidAnswers
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.loads import LoadPlan, measure_load
from tasks.teachers.measured import Answer, Measurement
from tasks.teachers.samples import SamplePlan, by_prompt, sample_requests
from tasks.teachers.serving import Load, Serving
from tasks.teachers.settings import Sampling

_MISSING = Answer(text="", finish_reason="error", completion_tokens=0)


def measure_endpoint(
    settings: EndpointSettings,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    runtime: EndpointRuntime,
    plan: LoadPlan,
    kept: Path,
    votes: SamplePlan | None = None,
) -> Measurement:
    """Let an endpoint answer the test prompts, all at once and then some of them again, one at a time and several at a time.

    Args:
        settings: The endpoint.
        prompts: The test prompts, at least one.
        sampling: What decides an answer; ``structured_output.labels`` is resolved to ``choice`` by the caller.
        runtime: How the endpoint is asked.
        plan: How much it is asked at once when it is timed; concurrencies that it does not take are left out.
        kept: File where answers are kept until the evaluation is finished, so that none is paid for twice; samples are in one
            beside it.
        votes: How answers are sampled at the end, for a vote; None: they are not.

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
        _answer(endpoint, requests, paid, "items")
        answered = [request for request in requests if request.key in paid.rows]
        enough = len(answered) >= runtime.min_endpoint_success_ratio * len(requests)
        endpoint.ask_in_pieces(True)
        alone = measure_load(endpoint.stream, answered, 1, plan, Progress) if enough else None
        if alone is None:
            later = " but none that was asked alone" if enough else ""
            raise StageFailedError(
                f"the endpoint {settings.url} answered {len(answered)} of {len(requests)} test prompts{later}, "
                f"wanted a share of {100 * runtime.min_endpoint_success_ratio:.0f} % "
                f"(evaluation.endpoint.min_endpoint_success_ratio); the others: {dict(endpoint.usage.failures)}. Check the "
                "endpoint and what it refuses, and run again: the answers so far are kept"
            )
        more = _measure_more(endpoint, answered, plan, runtime)
        endpoint.ask_in_pieces(False)
        samples = {} if votes is None else _sample(endpoint, prompts, requests, votes, kept.with_stem(f"{kept.stem}_samples"))
    rows = paid.rows.values()
    seconds = sum(row.seconds for row in rows)
    given = _given(paid)
    return Measurement(
        answers={request.key: given.get(request.key, _MISSING) for request in requests},
        samples=samples,
        latencies_seconds=alone[1],
        serving=Serving(
            latency_seconds=bootstrap_median(alone[1]),
            loads=[alone[0], *more],
            items_per_second=len(rows) / seconds,
            tokens_per_second=sum(row.completion_tokens for row in rows) / seconds,
            memory=None,
            peak_memory_bytes=None,
            energy_joules_per_item=None,
            cost_per_1k_requests=_cost_per_1k(list(rows), runtime),
            dtype=None,
        ),
    )


def _sample(
    endpoint: Endpoint, prompts: Sequence[Prompt], requests: list[Request], plan: SamplePlan, kept: Path
) -> dict[str, list[Answer]]:
    asked, paid = sample_requests(plan, prompts, requests), PaidAnswers(kept)
    endpoint.sample(plan.temperature)
    endpoint.usage.answered_before += len(paid.rows)
    _answer(endpoint, asked, paid, "samples")
    return by_prompt(asked, _given(paid), _MISSING)


def _given(paid: PaidAnswers) -> dict[str, Answer]:
    return {
        row.id: Answer(text=row.text, finish_reason=row.finish_reason, completion_tokens=row.completion_tokens)
        for row in paid.rows.values()
    }


def _answer(endpoint: Endpoint, requests: list[Request], paid: PaidAnswers, what: str) -> None:
    """Ask for every answer that is not there yet."""
    progress = Progress(f"evaluation: {what}", len(requests), done=len(paid.rows))
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


def _measure_more(endpoint: Endpoint, requests: list[Request], plan: LoadPlan, runtime: EndpointRuntime) -> list[Load]:
    """Return the figures at each concurrency above 1 that the endpoint lets us have, and that there is money for."""
    loads = list[Load]()
    for concurrency in plan.levels[1:]:
        if concurrency > runtime.max_concurrency:
            reason = f"evaluation.endpoint.max_concurrency is {runtime.max_concurrency}"
        else:
            endpoint.rise_to(concurrency)
            try:
                found = measure_load(endpoint.stream, requests, concurrency, plan, Progress)
                reason = f"the endpoint takes {endpoint.usage.concurrency} at once" if found else "no request was answered"
            except (BudgetExceededError, StageFailedError) as error:  # the answers are there, and stay
                found, reason = None, str(error)
            if found is not None and endpoint.usage.concurrency >= concurrency:
                loads.append(found[0])
                continue
        stage_logger().warning("evaluation: no figures of %d requests at once or more: %s", concurrency, reason)
        break
    return loads


def _cost_per_1k(rows: list[PaidAnswer], runtime: EndpointRuntime) -> float | None:
    """Return what 1,000 answers cost, or None if there is no price or the endpoint does not tell tokens."""
    prices = (runtime.price_per_million_input_tokens, runtime.price_per_million_output_tokens)
    prompt_tokens, completion_tokens = sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)
    if prices == (None, None) or not prompt_tokens + completion_tokens:
        return None
    per_million = prompt_tokens * (prices[0] or 0.0) + completion_tokens * (prices[1] or 0.0)
    return per_million / len(rows) / 1000
