"""The scores of an evaluation: each task in its own way, sampled answers by their vote, and what has none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.artifact import read_record
from tasks.core.errors import SettingsError
from tasks.core.records import PREDICTIONS, SAMPLES
from tasks.core.tables import read_table
from tests.endpoints import Act, Call, ScriptedEndpoint, answer, run_scripted_endpoint
from tests.evaluations import asked, knows, labelled, predictions, run_test


@pytest.fixture
def scripted() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


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
