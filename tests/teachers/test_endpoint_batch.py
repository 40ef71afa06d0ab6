"""Batches at a scripted endpoint: no row is asked twice over a kill, and every row gets its answer or its reason."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tasks.core.errors import BudgetExceededError, SettingsError, StageFailedError
from tasks.core.storage import Store, open_store
from tasks.teachers.endpoint import files as endpoint_files
from tasks.teachers.endpoint.batch import EndpointBatch
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import ListFeed, Request
from tests.endpoints import Act, ScriptedEndpoint
from tests.teachers.asking import QUICK, SAMPLING, chats

NAMESPACE = "0123456789abcdef" * 4


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return open_store(str(tmp_path / "store"))


def batch_at(scripted: ScriptedEndpoint, store: Store, **runtime: Any) -> EndpointBatch:
    settings = EndpointSettings(url=scripted.url, model="teacher-1")
    wanted = EndpointRuntime.model_validate({**QUICK, "batch": True, "batch_poll_seconds": 0.02, **runtime})
    return EndpointBatch(settings, SAMPLING, None, wanted, store, NAMESPACE)


def ask(scripted: ScriptedEndpoint, store: Store, requests: list[Request], **runtime: Any) -> dict[str, tuple[str, str | None]]:
    """Return finish reason and text of every row, and commit them all."""
    with batch_at(scripted, store, **runtime) as endpoint:
        found = {row.key: (row.finish_reason, row.text) for row in endpoint.stream(ListFeed(requests))}
        endpoint.committed(found.keys())
    return found


def pending(store: Store) -> list[str]:
    return store.keys(f"batches/{NAMESPACE[:16]}")


def killed_while_waiting(scripted: ScriptedEndpoint, store: Store, requests: list[Request]) -> None:
    """Submit requests and be gone before any answer is there."""

    class Killed(BaseException):
        pass

    with pytest.MonkeyPatch.context() as patch, batch_at(scripted, store) as endpoint:

        def gone(*_: object) -> Iterator[Any]:
            raise Killed

        patch.setattr(endpoint_files.BatchFiles, "state", gone)
        with pytest.raises(Killed):
            list(endpoint.stream(ListFeed(requests)))


def test_rows_are_answered_and_the_batch_is_forgotten_once_they_are_committed(scripted: ScriptedEndpoint, store: Store) -> None:
    texts = [Request("text", [], seed=0, text="the still")]
    with batch_at(scripted, store) as endpoint:
        found = {row.key: row.text for row in endpoint.stream(ListFeed([*chats(5), *texts]))}
        assert found == {**{f"row-{n}": f"re: item {n}" for n in range(5)}, "text": "re: the still"}
        assert pending(store) == [f"batches/{NAMESPACE[:16]}/batch_{n}.json" for n in range(2)], "one batch a path"
        endpoint.committed(found.keys() - {"row-3"})
        assert pending(store) == [f"batches/{NAMESPACE[:16]}/batch_0.json"], "an answer that is not safe keeps its batch"
        endpoint.committed(found.keys())
        assert pending(store) == []
    assert endpoint.usage.prompt_tokens == 60
    assert len(json.loads(scripted.files["file_0"].splitlines()[0])["body"]["messages"]) == 1


def test_a_batch_that_was_submitted_before_a_kill_is_found_again(scripted: ScriptedEndpoint, store: Store) -> None:
    killed_while_waiting(scripted, store, chats(4))
    assert len(pending(store)) == 1
    found = ask(scripted, store, chats(6))
    assert found == {f"row-{n}": ("stop", f"re: item {n}") for n in range(6)}
    assert len(scripted.batches) == 2 and len(scripted.calls) == 6, "only the two new rows were submitted"
    assert pending(store) == []


def test_answers_that_were_committed_before_a_kill_are_not_yielded_again(scripted: ScriptedEndpoint, store: Store) -> None:
    with batch_at(scripted, store) as endpoint:
        assert len(list(endpoint.stream(ListFeed(chats(3))))) == 3
    assert ask(scripted, store, chats(3)[2:]) == {"row-2": ("stop", "re: item 2")}
    with batch_at(scripted, store) as endpoint:
        assert list(endpoint.stream(ListFeed([]))) == []
        endpoint.committed({"row-0", "row-1", "row-2"})
    assert pending(store) == [] and len(scripted.calls) == 3


def test_a_later_turn_finds_its_batch_of_an_earlier_run(scripted: ScriptedEndpoint, store: Store) -> None:
    first, second = chats(2)
    killed_while_waiting(scripted, store, [second])

    class TwoTurns(ListFeed):
        def __init__(self) -> None:
            super().__init__([first])
            self.more: list[Request] = []

        def take(self) -> Request | None:
            return super().take() or (self.more.pop() if self.more else None)

    feed, keys = TwoTurns(), []
    with batch_at(scripted, store) as endpoint:
        for completion in endpoint.stream(feed):
            keys.append(completion.key)
            feed.more = [second] if completion.key == first.key else []
    assert keys == ["row-0", "row-1"]
    assert len(scripted.calls) == 2, "the second turn was paid for once"


def test_errors_of_rows_are_refusals_or_further_attempts(scripted: ScriptedEndpoint, store: Store) -> None:
    def act(call: Any) -> Act:
        if call.prompt == "item 0":
            return Act(400, {"error": {"code": "bad_prompt"}})
        return Act(500, {}) if call.prompt == "item 1" and scripted.attempts("item 1") < 3 else Act()

    scripted.act = act
    found = ask(scripted, store, chats(10))
    assert found["row-0"][0] == "refused"
    assert found["row-1"] == ("stop", "re: item 1")
    assert (scripted.attempts("item 0"), scripted.attempts("item 1"), scripted.attempts("item 2")) == (1, 3, 1)
    assert pending(store) == []


def test_rows_of_an_expired_batch_are_submitted_again(scripted: ScriptedEndpoint, store: Store) -> None:
    scripted.act = lambda call: Act(0) if call.prompt != "item 0" and scripted.attempts(call.prompt) == 1 else Act()
    assert ask(scripted, store, chats(4)) == {f"row-{n}": ("stop", f"re: item {n}") for n in range(4)}
    assert (scripted.attempts("item 0"), scripted.attempts("item 1")) == (1, 2)
    assert pending(store) == []


def test_rows_that_expire_every_time_are_given_up(scripted: ScriptedEndpoint, store: Store) -> None:
    scripted.act = lambda call: Act(0) if call.prompt == "item 0" else Act()
    with batch_at(scripted, store, max_attempts=2) as endpoint:
        problems = {row.key: row.problem for row in endpoint.stream(ListFeed(chats(4)))}
    assert problems["row-0"] == "the endpoint did not answer in 2 batches, last because of: batch expired"
    assert [problems[f"row-{n}"] for n in (1, 2, 3)] == [None] * 3


def test_a_batch_that_is_gone_is_submitted_anew(scripted: ScriptedEndpoint, store: Store) -> None:
    killed_while_waiting(scripted, store, chats(2))
    scripted.batches.clear()
    scripted.batches["other"] = {"id": "other", "status": "completed"}
    assert len(ask(scripted, store, chats(2))) == 2
    assert pending(store) == []


def test_input_is_split_at_the_limits(scripted: ScriptedEndpoint, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_files, "_MOST_REQUESTS", 4)
    assert len(ask(scripted, store, chats(10))) == 10
    assert [len(scripted.files[batch["input_file_id"]].splitlines()) for batch in scripted.batches.values()] == [4, 4, 2]
    monkeypatch.setattr(endpoint_files, "_MOST_BYTES", 400)
    scripted.batches.clear()
    assert len(ask(scripted, store, chats(4))) == 4
    assert all(len(scripted.files[batch["input_file_id"]]) <= 400 for batch in scripted.batches.values())


def test_a_batch_whose_creation_got_no_answer_is_not_created_twice(
    scripted: ScriptedEndpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, lost = httpx.Client.stream, []

    def lose_the_first_answer(client: httpx.Client, method: str, url: str, **content: Any) -> Any:
        if (method, url) == ("POST", "batches") and not lost:
            with send(client, method, url, **content) as response:
                lost.append(response.read())
            raise httpx.ReadTimeout("scripted")
        return send(client, method, url, **content)

    monkeypatch.setattr(httpx.Client, "stream", lose_the_first_answer)
    assert len(ask(scripted, store, chats(3))) == 3
    assert lost and len(scripted.batches) == 1


def test_the_budget_decides_what_is_submitted(scripted: ScriptedEndpoint, store: Store) -> None:
    with batch_at(scripted, store, max_requests=3) as endpoint:
        rows = endpoint.stream(ListFeed(chats(5)))
        assert [next(rows).text for _ in range(3)] == [f"re: item {n}" for n in range(3)]
        with pytest.raises(BudgetExceededError, match="3 of 3 requests"):
            next(rows)


def test_a_batch_that_is_not_accepted_is_an_error_of_the_settings(scripted: ScriptedEndpoint, store: Store) -> None:
    killed_while_waiting(scripted, store, chats(2))
    errors = {"data": [{"code": "model_not_found", "message": "item 0"}]}
    scripted.batches["batch_0"] |= {"status": "failed", "errors": errors}
    with batch_at(scripted, store) as endpoint, pytest.raises(SettingsError, match="model_not_found"):
        list(endpoint.stream(ListFeed(chats(2))))
    assert pending(store) == [], "nothing will ever come of it"


def test_too_many_refused_rows_are_reported(scripted: ScriptedEndpoint, store: Store) -> None:
    scripted.act = lambda call: Act(400, {})
    with batch_at(scripted, store) as endpoint, pytest.raises(StageFailedError, match="answered 0 of 25 rows"):
        list(endpoint.stream(ListFeed(chats(25))))
