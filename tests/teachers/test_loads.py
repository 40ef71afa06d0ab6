"""Load is a closed loop: as many requests under way as wanted, until enough were sent or time is up, and every one is timed."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tasks.teachers.exchange import Completion, Feed, Request
from tasks.teachers.loads import LoadPlan, measure_load, quantiles, shortfalls
from tasks.teachers.serving import Load

PROMPTS = [Request(f"row-{number}", [number], seed=0) for number in range(6)]


class Count:
    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0

    def advance(self, units: int = 1) -> None:
        self.done += units


def plan(*concurrencies: int, alone: int = 5, most: int = 128, seconds: float = 60) -> LoadPlan:
    return LoadPlan(concurrencies=concurrencies, alone_requests=alone, max_requests=most, max_seconds=seconds)


def rounds(
    seconds: float, most: list[int], problem: Callable[[str], bool] = lambda key: False
) -> Callable[[Feed], Iterator[Completion]]:
    """Return a teacher that takes all that it gets and answers it after so many seconds; it notes how much it got."""

    def stream(feed: Feed) -> Iterator[Completion]:
        while taken := [request for request in iter(feed.take, None) if request is not None]:
            most.append(len(taken))
            time.sleep(seconds)
            for request in taken:
                failed = "refused" if problem(request.key) else None
                yield Completion(
                    request.key, [], "stop", completion_tokens=3, first_token_seconds=0.25, per_token_seconds=0.5, problem=failed
                )

    return stream


def measured(stream: Callable[[Feed], Iterator[Completion]], concurrency: int, wanted: LoadPlan) -> tuple[Load, list[float]]:
    found = measure_load(stream, PROMPTS, concurrency, wanted, Count)
    assert found is not None
    return found


def test_the_wanted_number_is_under_way_until_all_were_sent() -> None:
    most, counts = list[int](), list[Count]()

    def begin(what: str, total: int) -> Count:
        counts.append(Count(what, total))
        return counts[0]

    found = measure_load(rounds(0.01, most), PROMPTS, 4, plan(4), begin)

    assert found is not None
    load, latencies = found
    assert most == [4, 4, 4, 4]
    assert (load.concurrency, load.requests, len(latencies)) == (4, 16, 16)
    assert (counts[0].done, counts[0].total) == (16, 16) and "4 at once" in counts[0].what


def test_figures_are_of_every_request_and_speed_is_of_all_of_them() -> None:
    load, latencies = measured(rounds(0.02, []), 2, plan(2))

    assert load.latency_seconds == quantiles(latencies)
    assert all(0.02 <= seconds < 0.2 for seconds in latencies)
    assert load.requests_per_second == pytest.approx(2 / 0.02, rel=0.5)
    assert load.output_tokens_per_second == pytest.approx(3 * load.requests_per_second)
    assert load.first_token_seconds is not None and load.first_token_seconds.p95 == 0.25
    assert load.per_token_seconds is not None and load.per_token_seconds.p50 == 0.5


def test_requests_without_an_answer_have_no_figures() -> None:
    load, _ = measured(rounds(0.0, [], lambda key: key.endswith("1")), 2, plan(2))

    assert load.requests == 7
    assert measure_load(rounds(0.0, [], lambda key: True), PROMPTS, 2, plan(2), Count) is None


def test_when_time_is_up_no_more_are_sent_and_what_is_missing_is_said() -> None:
    most = list[int]()
    wanted = plan(8, alone=6, seconds=0.01)
    alone, latencies = measured(rounds(0.02, most), 1, wanted)
    eight, _ = measured(rounds(0.02, most), 8, wanted)

    assert most == [1] * 5 + [8], "five alone, for the interval of their median; and a whole round"
    assert len(latencies) == 5
    end = "at once; no more are sent after evaluation.load_seconds = 0.01"
    assert shortfalls(wanted, [alone, eight], len(PROMPTS)) == [
        f"5 of 6 requests were answered with 1 {end}",
        f"8 of 32 requests were answered with 8 {end}",
    ]
    assert shortfalls(wanted, [alone], 5) == [], "there are only five prompts"


def test_a_plan_has_each_concurrency_once_and_bounds_its_requests() -> None:
    wanted = plan(64, 4, 256, 2, 4)

    assert wanted.levels == [1, 2, 4, 64, 256]
    assert [wanted.requests(level, 100) for level in wanted.levels] == [5, 8, 16, 128, 256]
    assert wanted.requests(1, 3) == 3, "alone, no prompt is asked twice"


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).exponential(size=101)

    found = quantiles(values.tolist())

    assert (found.p50, found.p95) == (np.median(values), np.percentile(values, 95))
