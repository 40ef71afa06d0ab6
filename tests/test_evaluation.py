"""The evaluation of an endpoint: its answers scored row by row, its speed and price, and what nobody can know of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.errors import BudgetExceededError, SettingsError, StageFailedError
from tasks.core.records import PREDICTIONS, SAMPLES, Prediction
from tasks.core.tables import read_table
from tasks.evaluation import LATENCIES_FILE, EvaluationSettings, evaluate
from tasks.model import prepare_endpoint
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.serving import Serving
from tests.endpoints import Act, Call, ScriptedEndpoint, answer, run_scripted_endpoint

QUICK: dict[str, Any] = {"backoff_seconds": 0.01, "max_backoff_seconds": 0.1, "max_attempts": 2, "timeout_seconds": 5}
ALONE: dict[str, Any] = {"latency_requests": 5, "load_concurrencies": ()}
LABELS = ["Cold", "Hot"]


@pytest.fixture
def scripted() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


def labelled(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"still {number}", "answer": LABELS[number % 2], "kind": "CLASSIFICATION"} for number in range(count)]


def asked(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"sum {number}", "answer": f"The {number}.", "kind": "MATH"} for number in range(count)]


def prepare(store: Path, rows: list[dict[str, Any]]) -> Artifact:
    """Return prompts with these test rows; the training rows have both labels."""
    store.mkdir(parents=True, exist_ok=True)
    splits = {"train": [{**row, "prompt": f"train {row['prompt']}"} for row in labelled(2)], "test": rows}
    for split, chosen in splits.items():
        (store.parent / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in chosen))
    sources = {split: (str(store.parent / f"{split}.jsonl"),) for split in splits}
    settings = {**sources, "reference_field": "answer", "task_field": "kind", "validation_fraction": 0}
    return prepare_prompts.fn(settings=PromptsSettings.model_validate(settings), store=str(store))


def run_test(
    store: Path,
    rows: list[dict[str, Any]],
    scripted: ScriptedEndpoint,
    loads: dict[str, Any] | None = None,
    custom_metric: str | None = None,
    **runtime: Any,
) -> Artifact:
    """Evaluate the scripted endpoint on these rows."""
    endpoint = EndpointSettings(url=scripted.url, model="acme/large")
    teacher = prepare_endpoint.fn(settings=endpoint, store=str(store))
    chosen = {**ALONE, **(loads or {}), "custom_metric": custom_metric, "endpoint": {**QUICK, **runtime}}
    settings = EvaluationSettings.model_validate(chosen)
    return evaluate.fn(settings=settings, store=str(store), prompts=prepare(store, rows), model=teacher)


def serving_of(made: Artifact) -> Serving:
    """Return the figures of an evaluation's speed, memory and cost."""
    return Serving.model_validate(read_record(made).summary["serving"])


def predictions(made: Artifact) -> dict[str, Prediction]:
    """Return what was answered, by the first reference."""
    return {row["references"][0]: row for row in read_table(made, PREDICTIONS)}


def knows(right: dict[str, str]) -> Any:
    """Return a script that answers these prompts so, and all others with ``nothing``."""
    return lambda call: Act(body=answer(right.get(call.prompt, "nothing"), call.path))


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


def test_each_task_of_a_test_is_scored_in_its_own_way(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    rows = [*labelled(4), *asked(4)]
    # A sum is right wherever it stands in the answer; a label is not.
    scripted.act = knows(
        {
            "still 0": "COLD",
            "still 1": "the hot",
            "still 2": "cold",
            "still 3": "hot",
            "sum 0": "It is 0.0, I think",
            "sum 1": "2",
        }
    )
    made = run_test(tmp_path / "store", rows, scripted)

    found, tasks = predictions(made), read_record(made).summary["tasks"]
    sum_0 = found["The 0."]
    assert (sum_0["task"], sum_0["completion"], sum_0["answer"]) == ("MATH", "It is 0.0, I think", "0")
    assert (sum_0["scores"], sum_0["completion_tokens"]) == ([("accuracy", 1.0)], 5)
    assert made.counts == {"items": 8, "invalid": 3}
    assert tasks["MATH"] == {
        "items": 4,
        "metric": "accuracy",
        "metrics": {"accuracy": 0.25},
        "rates": {"invalid": 0.5, "truncated": 0, "repeated": 0},
    }
    labels = tasks["CLASSIFICATION"]
    assert labels["metrics"]["accuracy"] == 0.75
    assert labels["metrics"]["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)  # all cold ones, half of the hot ones
    assert labels["rates"]["invalid"] == 0.25


def test_sampled_answers_are_put_to_the_vote_where_answers_can_agree(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    rows = [*asked(2), {"prompt": "hello", "answer": "Hello there", "kind": "CONVERSATION"}]

    def act(call: Call) -> Act:
        sampled = sum(other.prompt == call.prompt and other.body["temperature"] > 0 for other in scripted.calls)
        said = f"So it is {call.prompt.split()[-1]}" if sampled in {1, 3} else "9"  # right at the first and the third sample
        return Act(body=answer(said, call.path))

    scripted.act = act
    made = run_test(tmp_path / "store", rows, scripted, {"samples": 3}, max_concurrency=1)

    scores = read_record(made).summary["tasks"]
    assert scores["MATH"]["metrics"] == {"accuracy": 0, "maj@3": 1}
    assert "maj@3" not in scores["CONVERSATION"]["metrics"]
    assert made.counts["samples"] == 6
    assert [row["answer"] for row in read_table(made, SAMPLES)] == ["0", "9", "0", "1", "9", "1"]
    sampled = [call.body for call in scripted.calls if call.body["temperature"] > 0]
    assert [body["temperature"] for body in sampled] == [0.7] * 6 and len({body["seed"] for body in sampled}) == 6


def test_what_only_a_judge_can_decide_has_rates_and_no_score(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    told = {"prompt": "hello", "answer": "Hello there", "kind": "CONVERSATION"}
    scripted.act = knows({"hello": "Hello there", "go on": "on and on and " * 40})
    made = run_test(tmp_path / "store", [told, {"prompt": "go on", "kind": "CONVERSATION"}], scripted)

    summary = read_record(made).summary["tasks"]["CONVERSATION"]
    assert {row["completion"]: bool(row["scores"]) for row in read_table(made, PREDICTIONS)} == {
        "Hello there": True,
        "on and on and " * 40: False,
    }
    assert summary["metrics"] == {"chrf": 1, "bleu": pytest.approx(0, abs=1), "corpus_chrf": 1}
    assert summary["rates"] == {"invalid": 0, "truncated": 0, "repeated": 0.5}
    assert "tok:13a" in summary["signatures"]["bleu"]


def test_a_task_of_the_users_own_is_scored_by_their_metric(
    tmp_path: Path, scripted: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "politeness.py").write_text(
        "from tasks.metrics.custom import metric\n\n\n@metric\ndef please(answer, references):\n    return 'please' in answer\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [{"prompt": name, "answer": "unknown", "kind": "custom"} for name in ("a", "b")]
    scripted.act = knows({"a": "Come in, please."})
    made = run_test(tmp_path / "store", rows, scripted, custom_metric="politeness:please")

    summary = read_record(made).summary["tasks"]["custom"]
    assert (summary["metric"], summary["metrics"]) == ("custom", {"custom": 0.5})
    with pytest.raises(SettingsError, match=r"os\.py marks no function"):
        run_test(tmp_path / "store", rows, scripted, custom_metric="os:system")


def test_a_batch_is_refused_because_it_has_no_speed() -> None:
    with pytest.raises(ValidationError, match="a batch tells nothing about speed"):
        EvaluationSettings.model_validate({"endpoint": {"batch": True}})
