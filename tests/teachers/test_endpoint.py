"""A scripted endpoint on loopback: every row gets its answer or its reason, whatever the endpoint does in between."""

import time
from collections import deque
from typing import Any

import pytest

from tasks.teachers.exchange import Completion, ListFeed, Request
from tests.endpoints import Act, Call, ScriptedEndpoint, answer, in_turn
from tests.teachers.asking import chats, endpoint_at


def ask(scripted: ScriptedEndpoint, requests: list[Request], **runtime: Any) -> dict[str, Completion]:
    """Return the completions of all requests, by key."""
    with endpoint_at(scripted, **runtime) as endpoint:
        completions = list(endpoint.stream(ListFeed(requests)))
    found = {completion.key: completion for completion in completions}
    assert len(found) == len(completions) and found.keys() == {request.key for request in requests}
    return found


def test_every_request_is_answered_once_with_what_it_cost(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(body=answer("warm", finish_reason="length", prompt_tokens=7, completion_tokens=16))
    with endpoint_at(scripted) as endpoint:
        completions = list(endpoint.stream(ListFeed(chats(30))))
    assert sorted(found.key for found in completions) == sorted(request.key for request in chats(30))
    assert {(found.text, found.finish_reason, found.prompt_tokens, found.completion_tokens) for found in completions} == {
        ("warm", "length", 7, 16)
    }
    assert (endpoint.usage.requests, endpoint.usage.answered) == (30, 30)
    assert (endpoint.usage.prompt_tokens, endpoint.usage.completion_tokens) == (210, 480)


def test_plain_texts_are_continued(scripted: ScriptedEndpoint) -> None:
    assert ask(scripted, [Request("t", [], seed=0, text="the still")])["t"].text == "re: the still"
    assert (scripted.calls[0].path, scripted.calls[0].body["prompt"]) == ("completions", "the still")


FAILURES = {
    "busy": Act(429, {"error": {"code": "rate_limit"}}, {"Retry-After": "0"}),
    "unavailable": Act(503),
    "server error": Act(500, b"<html>"),
    "gateway": Act(502),
    "conflict": Act(409),
    "torn body": Act(body=b'{"choices": [{"mess'),
    "no choices": Act(body={"choices": []}),
    "an error inside a 200": Act(body={"error": {"message": "overloaded"}}),
    "no finish reason": Act(body={"choices": [{"message": {"content": "half"}, "finish_reason": None}]}),
    "another shape": Act(body={"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}),
    "lost connection": Act(reset=True),
    "time-out": Act(seconds=1.0),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_what_may_pass_is_asked_again(scripted: ScriptedEndpoint, failure: Act) -> None:
    scripted.act = in_turn(failure, failure)
    found = ask(scripted, chats(1), timeout_seconds=0.4)["row-0"]
    assert (found.text, found.finish_reason, len(scripted.calls)) == ("re: item 0", "stop", 3)


def test_a_row_that_is_never_answered_says_why_and_the_others_are_answered(scripted: ScriptedEndpoint) -> None:
    scripted.act = lambda call: Act(503) if call.prompt == "item 3" else Act()
    found = ask(scripted, chats(10), max_attempts=3)
    assert found["row-3"].finish_reason == "error"
    assert found["row-3"].problem == "the endpoint did not answer in 3 attempts, last because of: HTTP 503"
    assert scripted.attempts("item 3") == 3
    assert {row.finish_reason for key, row in found.items() if key != "row-3"} == {"stop"}


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_refused_row_is_not_asked_again_and_loses_no_other(scripted: ScriptedEndpoint, status: int) -> None:
    refusal = {"error": {"code": "context_length", "param": "messages", "message": "item 9 is too long"}}
    scripted.act = lambda call: Act(status, refusal) if call.prompt == "item 9" else Act()
    found = ask(scripted, chats(12), max_concurrency=1)
    assert found["row-9"].finish_reason == "refused"
    assert found["row-9"].problem == f"the endpoint refused this request (HTTP {status} context_length messages)"
    assert scripted.attempts("item 9") == 1
    assert sum(row.finish_reason == "stop" for row in found.values()) == 11


def test_all_requests_rest_when_the_endpoint_asks_for_it(scripted: ScriptedEndpoint) -> None:
    scripted.act = in_turn(Act(429, headers={"Retry-After": "0.5"}))
    ask(scripted, chats(3), max_concurrency=1, max_backoff_seconds=1)
    assert scripted.calls[1].at - scripted.calls[0].at >= 0.5
    scripted.act = in_turn(Act(429, headers={"Retry-After": "3600"}))
    started = time.monotonic()
    ask(scripted, chats(3), max_backoff_seconds=0.2)
    assert time.monotonic() - started < 5, "it rests no longer than the settings allow"


def test_concurrency_follows_what_the_endpoint_takes(scripted: ScriptedEndpoint) -> None:
    seen: list[int] = []
    takes = 6

    def act(call: Call) -> Act:
        seen.append(scripted.under_way)
        return Act(429, seconds=0.01) if scripted.under_way > takes else Act(seconds=0.02)

    scripted.act = act
    with endpoint_at(scripted, max_concurrency=32, max_attempts=50) as endpoint:
        assert len(list(endpoint.stream(ListFeed(chats(150))))) == 150
    assert seen[0] <= 4 and scripted.most_under_way > takes, "it starts low and goes up"
    assert endpoint.usage.concurrency <= 2 * takes, "it stays near what the endpoint takes"
    assert endpoint.usage.retries["HTTP 429"] < 100
    scripted.most_under_way, scripted.act = 0, lambda call: Act(seconds=0.01)
    ask(scripted, chats(150), max_concurrency=5)
    assert scripted.most_under_way == 5, "it never goes above its bound"


class GrowingFeed:
    """A feed in which every answer brings the next turn of its conversation."""

    def __init__(self, conversations: int, turns: int) -> None:
        self.turns = turns
        self.ready = deque((n, 0) for n in range(conversations))

    def take(self) -> Request | None:
        if not self.ready:
            return None
        n, turn = self.ready.popleft()
        return Request(f"{n}-{turn}", [], seed=0, messages=({"role": "user", "content": f"item {n} turn {turn}"},))

    def answered(self, key: str) -> None:
        n, turn = (int(part) for part in key.split("-"))
        if turn + 1 < self.turns:
            self.ready.append((n, turn + 1))


def test_answers_may_bring_further_requests(scripted: ScriptedEndpoint) -> None:
    feed, keys = GrowingFeed(conversations=3, turns=4), []
    with endpoint_at(scripted) as endpoint:
        for completion in endpoint.stream(feed):
            keys.append(completion.key)
            feed.answered(completion.key)
    assert sorted(keys) == sorted(f"{n}-{turn}" for n in range(3) for turn in range(4))


def test_requests_are_taken_as_they_are_needed(scripted: ScriptedEndpoint) -> None:
    taken: list[str] = []

    class Counting(ListFeed):
        def take(self) -> Request | None:
            request = super().take()
            taken.extend([request.key] if request else [])
            return request

    with endpoint_at(scripted, max_concurrency=4) as endpoint:
        for answered, _ in enumerate(endpoint.stream(Counting(chats(30)))):
            assert len(taken) - answered <= 4


def test_reasoning_and_refusals_are_told_apart_from_answers(scripted: ScriptedEndpoint) -> None:
    messages = {
        "item 0": {"content": "hot", "reasoning": "it is a still"},
        "item 1": {"content": "cold", "reasoning_content": "it is tapped"},
        "item 2": {"content": None, "refusal": "no"},
        "item 3": {"content": None},
    }
    scripted.act = lambda call: Act(body={"choices": [{"message": messages[call.prompt], "finish_reason": "stop"}]})
    found = ask(scripted, chats(4))
    assert [(row.text, row.reasoning, row.finish_reason) for row in (found[f"row-{n}"] for n in range(4))] == [
        ("hot", "it is a still", "stop"),
        ("cold", "it is tapped", "stop"),
        ("", None, "content_filter"),
        ("", None, "stop"),
    ]
