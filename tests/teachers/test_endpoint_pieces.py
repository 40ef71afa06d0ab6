"""Answers that come in pieces tell when their first token came; an endpoint that cannot send them so is asked for whole ones."""

import pytest

from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.pieces import Pieces
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.settings import Sampling
from tests.endpoints import Act, Call, ScriptedEndpoint

CHAT = Request("chat", [], seed=0, messages=({"role": "user", "content": "hello"},))
TEXT = Request("text", [], seed=0, text="hello")
SAID = ("Good ", "morning", ", how are", " you?")


def ask(scripted: ScriptedEndpoint, *requests: Request) -> list[Completion]:
    """Ask for answers in pieces, one at a time."""
    settings = EndpointSettings(url=scripted.url, model="teacher-1")
    with Endpoint(settings, Sampling(), None, EndpointRuntime(max_concurrency=1)) as endpoint:
        endpoint.ask_in_pieces(True)
        return list(endpoint.stream(ListFeed(requests)))


@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=["chat", "text"])
def test_an_answer_in_pieces_is_put_together_and_timed(scripted: ScriptedEndpoint, request_: Request) -> None:
    scripted.act = lambda call: Act(pieces=SAID, piece_seconds=0.1)
    (found,) = ask(scripted, request_)

    assert (found.text, found.finish_reason) == ("Good morning, how are you?", "stop")
    assert (found.prompt_tokens, found.completion_tokens) == (10, 4)
    assert found.first_token_seconds is not None and 0.1 <= found.first_token_seconds < 0.2 + 0.3
    assert found.per_token_seconds is not None and 0.08 < found.per_token_seconds < 0.3


def test_an_endpoint_that_sends_whole_answers_all_the_same_has_no_time_of_the_first_token(scripted: ScriptedEndpoint) -> None:
    (found,) = ask(scripted, CHAT)

    assert found.text == "re: hello"
    assert (found.first_token_seconds, found.per_token_seconds) == (None, None)
    assert len(scripted.calls) == 1


@pytest.mark.parametrize(
    "act",
    [
        Act(400, {"error": {"code": "unsupported_parameter", "param": "stream_options"}}),
        Act(body=b'data: {"choices": [{"delta": {"content": "Good"}}]}\n\n', headers={"content-type": "text/event-stream"}),
        Act(
            body=b'data: {"choices": [{"delta": {"content": "Good"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
            headers={"content-type": "text/event-stream"},
        ),
    ],
    ids=["refused", "torn", "without usage"],
)
def test_an_endpoint_that_cannot_send_pieces_is_asked_for_whole_answers_from_then_on(
    scripted: ScriptedEndpoint, act: Act
) -> None:
    def whole_only(call: Call) -> Act:
        return act if "stream" in call.body else Act()

    scripted.act = whole_only
    found = ask(scripted, CHAT, TEXT)

    assert [(each.text, each.problem, each.first_token_seconds) for each in found] == [("re: hello", None, None)] * 2
    assert ["stream" in call.body for call in scripted.calls] == [True, False, False]


def test_reasoning_counts_as_the_first_token_and_pieces_may_be_cut_anywhere() -> None:
    events = (
        b': a comment\r\n\r\ndata: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\r\n\r\n'
        b'data: {"choices": [{"delta": {"reasoning": "Hm. "}}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "\xc3\xa9t\xc3\xa9"}}]}\n\n'
        b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
        b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n\n'
    )
    pieces, moments = Pieces(), list[float | None]()
    for place in range(len(events)):
        pieces.feed(events[place : place + 1])
        moments.append(pieces.first_token_seconds)

    whole = pieces.whole()
    assert whole["choices"] == [{"finish_reason": "length", "message": {"content": "été", "reasoning": "Hm. "}}]
    assert whole["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    began = next(place for place, moment in enumerate(moments) if moment is not None)
    assert events[:began].endswith(b'{"reasoning": "Hm. "}}]}'), "an empty text is no token"


def test_an_answer_that_breaks_off_or_ends_with_an_error_is_none() -> None:
    for events in (b'data: {"choices": [{"delta": {"content": "a"}}]}\n', b'data: {"error": {"code": 500}}\n', b"data: {\n"):
        pieces = Pieces()
        pieces.feed(events)
        with pytest.raises(ValueError, match="has not come to its end"):
            pieces.whole()
