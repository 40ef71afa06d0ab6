"""What is kept of a measurement that did not come to its end, whether it was stopped or its process was killed."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import PreemptedError
from tasks.core.records import Prompt
from tasks.teachers.endpoint.measured import measure_endpoint
from tasks.teachers.endpoint.paid_answers import PaidAnswer, PaidAnswers
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.loads import LoadPlan
from tasks.teachers.measured import Measurement
from tasks.teachers.samples import SamplePlan
from tasks.teachers.settings import Sampling
from tests.endpoints import Act, Call, ScriptedEndpoint


def prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=f"id-{n}", messages=[], text=f"item {n}", references=["x"], task="MATH", split="test", tags=[])
        for n in range(count)
    ]


def measured(scripted: ScriptedEndpoint, count: int, kept: Path, votes: SamplePlan | None = None) -> Measurement:
    settings = EndpointSettings(url=scripted.url, model="teacher-1")
    runtime = EndpointRuntime(max_concurrency=4, stop_grace_seconds=3)
    plan = LoadPlan(concurrencies=(1,), alone_requests=5, max_requests=8, max_seconds=60)
    return measure_endpoint(settings, prompts(count), Sampling(), runtime, plan, kept, votes)


@pytest.fixture
def stopped_after() -> Iterator[Any]:
    """Stop this process's work after so many seconds, the way a worker is told to."""

    def stop(*_: object) -> None:
        raise PreemptedError("told to stop")

    before = signal.signal(signal.SIGALRM, stop)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_answers_that_were_under_way_at_a_stop_are_kept(tmp_path: Path, scripted: ScriptedEndpoint, stopped_after: Any) -> None:
    kept = tmp_path / "kept.jsonl"

    def slowly(call: Call) -> Act:
        if len(scripted.calls) == 1:
            stopped_after(0.5)
        return Act(seconds=1.0)

    scripted.act = slowly
    with pytest.raises(PreemptedError):
        measured(scripted, 8, kept)
    asked = len(scripted.calls)
    assert asked > 0 and set(PaidAnswers(kept).rows) == {f"id-{n}" for n in range(asked)}

    scripted.act = lambda call: Act()
    found = measured(scripted, 8, kept)
    assert len(found.answers) == 8
    assert [scripted.attempts(f"item {n}") for n in range(8)] == [2] * 5 + [1] * 3  # the first five alone, for their latency


def test_samples_that_came_before_a_stop_are_kept_too(tmp_path: Path, scripted: ScriptedEndpoint, stopped_after: Any) -> None:
    kept, plan = tmp_path / "kept.jsonl", SamplePlan(samples=2, temperature=1.0)

    def act(call: Call) -> Act:
        sampled = sum(other.body["temperature"] > 0 for other in scripted.calls)
        if sampled == 5:
            stopped_after(0.1)
        return Act(seconds=1.0 if sampled >= 5 else 0)

    scripted.act = act
    with pytest.raises(PreemptedError):
        measured(scripted, 5, kept, plan)
    there = len(PaidAnswers(kept.with_stem("kept_samples")).rows)
    before = len(scripted.calls)
    scripted.act = lambda call: Act()
    found = measured(scripted, 5, kept, plan)

    assert 5 <= there < 10
    assert {key: len(answers) for key, answers in found.samples.items()} == {f"id-{n}": 2 for n in range(5)}
    assert sum(call.body["temperature"] > 0 for call in scripted.calls[before:]) == 10 - there


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    # U+2028 ends a line for str.splitlines, and not in this file.
    row = PaidAnswer(id="a", text="one\u2028two\nthree", finish_reason="stop", prompt_tokens=1, completion_tokens=2, seconds=0.5)
    PaidAnswers(kept).add(row)
    kept.write_bytes(kept.read_bytes() + b'{"id": "b", "te')
    PaidAnswers(kept).add(row.model_copy(update={"id": "c"}))

    assert PaidAnswers(kept).rows == {"a": row, "c": row.model_copy(update={"id": "c"})}


def test_who_is_timed_is_asked_for_pieces_and_the_answers_themselves_come_whole(
    tmp_path: Path, scripted: ScriptedEndpoint
) -> None:
    scripted.act = lambda call: Act(pieces=("one ", "two ", "three"), piece_seconds=0.05)
    found = measured(scripted, 6, tmp_path / "kept.jsonl")

    (alone,) = found.serving.loads
    assert alone.first_token_seconds is not None and 0.05 <= alone.first_token_seconds.p50 < alone.latency_seconds.p50
    assert alone.per_token_seconds is not None and 0.03 < alone.per_token_seconds.p50 < 0.5
    assert ["stream" in call.body for call in scripted.calls] == [False] * 6 + [True] * 5
    assert {answer.text for answer in found.answers.values()} == {f"re: item {n}" for n in range(6)}
