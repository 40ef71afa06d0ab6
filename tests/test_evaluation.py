"""The evaluation of an endpoint: its answers scored row by row, its speed and price, and what nobody can know of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.artifact import open_file, read_record
from tasks.core.errors import BudgetExceededError, SettingsError, StageFailedError
from tasks.core.records import PREDICTIONS
from tasks.core.tables import read_table
from tasks.evaluation import LATENCIES_FILE, EvaluationSettings
from tests.endpoints import Act, Call, ScriptedEndpoint, run_scripted_endpoint
from tests.evaluations import LABELS, knows, labelled, run_test, serving_of


@pytest.fixture
def scripted() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


def test_answers_that_must_be_labels_need_some() -> None:
    sampling = EvaluationSettings.model_validate({"sampling": {"structured_output": {"labels": True}}}).sampling
    form = sampling.with_labels(LABELS).structured_output

    assert form is not None and (form.labels, form.choice) == (False, ("Cold", "Hot"))
    with pytest.raises(SettingsError, match=r"structured_output\.labels is on, and the prompts have no labels"):
        sampling.with_labels([])


def test_an_endpoint_is_named_scored_and_timed_and_its_memory_is_not_made_up(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    rows = labelled(8)
    scripted.act = knows({row["prompt"]: f" {row['answer'].lower()}. " for row in rows[:6]})
    made = run_test(tmp_path / "store", rows, scripted)

    summary = read_record(made).summary
    assert made.counts == {"items": 8, "invalid": 2}
    assert summary["name"] == "acme/large"
    assert summary["tasks"]["CLASSIFICATION"]["metrics"]["accuracy"] == 0.75
    assert summary["tasks"]["CLASSIFICATION"]["rates"] == {"invalid": 0.25, "truncated": 0, "repeated": 0}
    serving = serving_of(made)
    assert (serving.memory, serving.peak_memory_bytes, serving.dtype) == (None,) * 3
    assert (serving.cost_per_1k_requests, serving.energy_joules_per_item) == (None, None)
    assert serving.items_per_second > 0
    assert serving.tokens_per_second == pytest.approx(5 * serving.items_per_second)


def test_latency_is_of_requests_that_are_alone_and_throughput_of_many(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    most: list[int] = []

    def slowly(call: Call) -> Act:
        most.append(scripted.under_way)
        return Act(seconds=0.1)

    scripted.act = slowly
    made = run_test(tmp_path / "store", labelled(20), scripted)

    latencies = json.loads(open_file(made, LATENCIES_FILE).read_bytes())
    assert max(most[:20]) > 1 and most[20:] == [1] * 5
    assert len(latencies) == 5 and all(0.1 < seconds < 1 for seconds in latencies)
    assert serving_of(made).items_per_second > 10


def test_as_many_requests_are_under_way_as_the_settings_say(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    under_way: list[int] = []
    sent = 6 + 5

    def slowly(call: Call) -> Act:
        under_way.append(scripted.under_way)
        return Act(seconds=0.05 if len(under_way) <= sent + 8 else 0.5)  # long enough for eight to arrive

    scripted.act = slowly
    made = run_test(tmp_path / "store", labelled(6), scripted, {"load_concurrencies": [8, 2], "load_requests": 16})

    alone, two, eight = serving_of(made).loads
    assert [(load.concurrency, load.requests) for load in (alone, two, eight)] == [(1, 5), (2, 8), (8, 16)]
    assert max(under_way[sent : sent + 8]) == 2
    assert max(under_way[sent + 8 :]) == 8, "at once, though the endpoint was not asked for so many before"
    assert all(0.05 <= load.latency_seconds.p50 <= load.latency_seconds.p95 for load in (alone, two, eight))
    assert (eight.first_token_seconds, eight.per_token_seconds) == (None, None), "answers come whole"
    assert eight.output_tokens_per_second == pytest.approx(5 * eight.requests_per_second)


def test_a_concurrency_that_the_endpoint_does_not_take_is_left_out(
    tmp_path: Path, scripted: ScriptedEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.act = lambda call: Act(429) if scripted.under_way > 4 else Act(seconds=0.3 if len(scripted.calls) > 6 + 5 + 8 else 0)
    loads = {"load_concurrencies": [2, 16, 64], "load_requests": 16}
    made = run_test(tmp_path / "store", labelled(6), scripted, loads, max_attempts=20, max_concurrency=32)

    assert [load.concurrency for load in serving_of(made).loads] == [1, 2]
    assert "no figures of 16 requests at once or more: the endpoint takes" in caplog.text


def test_a_budget_that_is_spent_under_load_costs_no_answers(
    tmp_path: Path, scripted: ScriptedEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    made = run_test(tmp_path / "store", labelled(6), scripted, {"load_concurrencies": [2, 4]}, max_requests=6 + 5 + 8 + 3)

    assert made.counts["items"] == 6
    assert [load.concurrency for load in serving_of(made).loads] == [1, 2]
    assert "no figures of 4 requests at once or more: " in caplog.text


def test_the_price_of_a_thousand_requests_follows_from_tokens_and_prices(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    prices: dict[str, Any] = {"price_per_million_input_tokens": 2.0, "price_per_million_output_tokens": 8.0}
    made = run_test(tmp_path / "store", labelled(6), scripted, **prices)

    assert serving_of(made).cost_per_1k_requests == pytest.approx(1000 * (10 * 2.0 + 5 * 8.0) / 1e6)


def test_a_row_that_fails_counts_as_wrong_also_where_nothing_would_be_right(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    rows = [*labelled(10), {"prompt": "the empty word", "answer": "the", "kind": "NLU_QA"}]
    refused = {"error": {"code": "context_length"}}
    right = knows({row["prompt"]: row["answer"] for row in rows[:10]})
    scripted.act = lambda call: {"still 3": Act(503), "the empty word": Act(400, refused)}.get(call.prompt) or right(call)
    made = run_test(tmp_path / "store", rows, scripted)

    failed = [row for row in read_table(made, PREDICTIONS) if row["finish_reason"] == "error"]
    assert made.counts == {"items": 11, "invalid": 2, "failed": 2}
    assert [(row["answer"], dict(row["scores"])) for row in failed] == [
        (None, {"accuracy": 0}),
        (None, {"f1": 0, "exact_match": 0}),
    ]


@pytest.mark.parametrize("act", [Act(503), Act(400)], ids=["down", "refusing"])
def test_an_endpoint_that_fails_too_many_rows_ends_the_evaluation(tmp_path: Path, scripted: ScriptedEndpoint, act: Act) -> None:
    broken = {f"still {number}" for number in range(5)}
    scripted.act = lambda call: act if call.prompt in broken else Act()
    with pytest.raises(StageFailedError, match=r"answered 7 of 12 .*, wanted a share of 70 %"):
        run_test(tmp_path / "store", labelled(12), scripted)

    assert run_test(tmp_path / "store", labelled(12), scripted, min_endpoint_success_ratio=0.5).counts["failed"] == 5


def test_what_a_failed_evaluation_paid_for_is_not_asked_again(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    rows, down = labelled(12), True
    right = knows({row["prompt"]: row["answer"] for row in rows})
    scripted.act = lambda call: Act(503) if down and call.prompt in {f"still {number}" for number in range(8)} else right(call)
    with pytest.raises(StageFailedError):
        run_test(tmp_path / "store", rows, scripted)
    down = False
    first = len(scripted.calls)
    made = run_test(tmp_path / "store", rows, scripted)

    assert made.counts == {"items": 12, "invalid": 0}
    assert read_record(made).summary["tasks"]["CLASSIFICATION"]["metrics"]["accuracy"] == 1
    assert len(scripted.calls) - first == 8 + 5  # what was missing, and those whose latency is taken
    assert not list((tmp_path / "store" / ".work" / "evaluation").glob("*"))


def test_a_budget_ends_the_evaluation(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    with pytest.raises(BudgetExceededError, match="10 of 10 requests"):
        run_test(tmp_path / "store", labelled(12), scripted, max_requests=10)


def test_a_batch_is_refused_because_it_has_no_speed() -> None:
    with pytest.raises(ValidationError, match="a batch tells nothing about speed"):
        EvaluationSettings.model_validate({"endpoint": {"batch": True}})
