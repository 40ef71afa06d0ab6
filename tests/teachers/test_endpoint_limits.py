"""Where an endpoint teacher ends: keys, models and budgets that do not do, too many failures, and a stop in the middle."""

import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from tasks.core.errors import BudgetExceededError, SettingsError, StageFailedError
from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import ListFeed
from tests.endpoints import Act, ScriptedEndpoint
from tests.servers import closed_port
from tests.teachers.asking import KEY, QUICK, SAMPLING, chats, endpoint_at, until_error


def every_second_item(failing: Act) -> Any:
    return lambda call: failing if int(call.prompt.split()[1]) % 2 else Act()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_work_and_is_never_shown(
    scripted: ScriptedEndpoint, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    caplog.set_level("DEBUG")
    scripted.act = lambda call: Act(status, {"error": {"code": KEY, "param": KEY, "message": f"the key {KEY} is bad"}})
    settings = EndpointSettings(url=scripted.url, model="teacher-1", key_environment="TEACHER_KEY")
    with Endpoint(settings, SAMPLING, None, EndpointRuntime(**QUICK)) as endpoint:
        completions, error = until_error(endpoint, chats(50))
    assert isinstance(error, SettingsError) and "TEACHER_KEY" in str(error)
    assert completions == [] and len(scripted.calls) <= 4
    assert scripted.calls[0].headers["authorization"] == f"Bearer {KEY}"
    shown = [str(error), repr(error), repr(error.__context__), repr(endpoint), repr(settings), repr(vars(endpoint)), caplog.text]
    assert not any(KEY in text for text in shown)


def test_an_echoed_key_is_not_shown_with_a_refused_row(scripted: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    scripted.act = lambda call: Act(400, {"error": {"code": f"bad.{KEY}", "type": KEY, "param": "x"}})
    settings = EndpointSettings(url=scripted.url, model="teacher-1", key_environment="TEACHER_KEY")
    with Endpoint(settings, SAMPLING, None, EndpointRuntime(**QUICK)) as endpoint:
        (found,) = endpoint.stream(ListFeed(chats(1)))
    assert found.finish_reason == "refused" and KEY not in repr(found)


def test_an_unknown_model_ends_the_work(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(404, {"error": {"code": "model_not_found"}})
    with endpoint_at(scripted) as endpoint:
        completions, error = until_error(endpoint, chats(50))
    assert isinstance(error, SettingsError) and "teacher-1" in str(error)
    assert completions == [] and len(scripted.calls) <= 4


def test_redirects_are_not_followed(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(307, {}, {"Location": "/v1/completions"})
    with endpoint_at(scripted) as endpoint:
        _, error = until_error(endpoint, chats(5))
    assert isinstance(error, SettingsError) and "redirects" in str(error)
    assert {call.path for call in scripted.calls} == {"chat/completions"}


def test_an_endpoint_that_answers_too_few_rows_is_left(scripted: ScriptedEndpoint) -> None:
    scripted.act = every_second_item(Act(500))
    with endpoint_at(scripted, max_attempts=2) as endpoint:
        completions, error = until_error(endpoint, chats(400))
    assert isinstance(error, StageFailedError)
    assert "x HTTP 500" in str(error) and "wanted a share of 70 %" in str(error)
    answered = [found for found in completions if found.finish_reason == "stop"]
    assert answered and 20 <= len(completions) < 100, "what was answered is kept, and the rest is not asked"


def test_few_rows_that_the_endpoint_cannot_answer_fail_at_the_end(scripted: ScriptedEndpoint) -> None:
    scripted.act = every_second_item(Act(500))
    with endpoint_at(scripted, max_attempts=2) as endpoint:
        completions, error = until_error(endpoint, chats(6))
    assert isinstance(error, StageFailedError) and len(completions) == 6


def test_a_rest_of_refused_rows_is_no_failure_of_the_endpoint(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(400)
    with endpoint_at(scripted) as endpoint:
        assert {found.finish_reason for found in endpoint.stream(ListFeed(chats(5)))} == {"refused"}
    with endpoint_at(scripted) as endpoint:
        endpoint.usage.answered_before = 1_000
        assert len(list(endpoint.stream(ListFeed(chats(40))))) == 40


def test_nobody_at_home_is_a_failed_stage(scripted: ScriptedEndpoint) -> None:
    scripted.url = f"http://127.0.0.1:{closed_port()}/v1"
    with endpoint_at(scripted, max_attempts=2) as endpoint:
        _, error = until_error(endpoint, chats(3))
    assert isinstance(error, StageFailedError) and "3 x connection failed (ConnectError)" in str(error)


PRICES = {"price_per_million_input_tokens": 1.0, "price_per_million_output_tokens": 2.0}


@pytest.mark.parametrize(
    ("limits", "most_rows", "spent"),
    [
        ({"max_requests": 12}, 12, "12 of 12 requests"),
        ({"max_tokens": 200}, 13, "of 200 tokens"),
        ({"max_cost": 0.0002, **PRICES}, 10, "of 0.0002 in money"),
    ],
)
def test_the_budget_is_kept_and_what_was_paid_for_is_yielded(
    scripted: ScriptedEndpoint, limits: dict[str, Any], most_rows: int, spent: str
) -> None:
    with endpoint_at(scripted, **limits) as endpoint:  # 10 + 5 tokens a row
        completions, error = until_error(endpoint, chats(50))
    assert isinstance(error, BudgetExceededError) and spent in str(error) and "kept" in str(error)
    assert most_rows / 2 <= len(completions) <= most_rows
    assert len(completions) == len(scripted.calls), "every answer that was paid for is there"
    assert endpoint.usage.prompt_tokens + endpoint.usage.completion_tokens == 15 * len(completions)


def test_a_budget_that_suffices_is_no_error(scripted: ScriptedEndpoint) -> None:
    with endpoint_at(scripted, max_requests=5) as endpoint:
        assert len(list(endpoint.stream(ListFeed(chats(5))))) == 5


def test_an_account_without_credit_is_not_asked_again(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(429, {"error": {"code": "insufficient_quota"}})
    with endpoint_at(scripted) as endpoint:
        _, error = until_error(endpoint, chats(50))
    assert isinstance(error, BudgetExceededError) and len(scripted.calls) <= 4


def test_a_stop_loses_nothing_that_was_paid_for(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(seconds=0.3)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with endpoint_at(scripted, max_concurrency=8) as endpoint:
            keys: list[str] = []
            threading.Timer(0.75, signal.raise_signal, [signal.SIGUSR1]).start()
            with pytest.raises(KeyboardInterrupt):
                for completion in endpoint.stream(ListFeed(chats(200))):
                    keys.append(completion.key)
            drained = endpoint.drain()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert keys and drained
    assert sorted(keys + [completion.key for completion in drained]) == sorted(f"row-{n}" for n in range(len(scripted.calls)))
    assert {completion.finish_reason for completion in drained} == {"stop"}


def test_a_stop_waits_no_longer_than_its_grace(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(seconds=0.0 if call.prompt == "item 0" else 2.0)
    with endpoint_at(scripted, stop_grace_seconds=0.2) as endpoint:
        stream = endpoint.stream(ListFeed(chats(4)))
        assert next(stream).key == "row-0"
        assert isinstance(stream, Generator)
        stream.close()
        started = time.monotonic()
        assert endpoint.drain() == []
        assert time.monotonic() - started < 1
