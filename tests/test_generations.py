"""The teacher is asked once for every row, whatever ends a run, and only for what is missing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tasks.core.artifact import read_record
from tasks.core.records import ANSWERED_PROMPTS, with_logprobs
from tasks.core.tables import read_table
from tests.models import tiny_model
from tests.teaching import answer, committed_keys, numbered, prepare, teach

pytestmark = pytest.mark.slow

INTERRUPTED = """
import sys
from pathlib import Path
from tasks.core.artifact import Artifact
from tests.teaching import answer
prompts, teacher = (Artifact.model_validate_json(text) for text in sys.argv[2:])
from prefect import flow
flow(lambda: answer(Path(sys.argv[1]), prompts, teacher), name="interrupted")()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def test_more_prompts_cost_only_their_own_answers(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    teacher = teach(store, model)
    long = [{"prompt": f"{'very ' * 80}long {number}", "answer": "x"} for number in range(2)]
    first = answer(store, prepare(store, numbered(20)), teacher)
    second = answer(store, prepare(store, numbered(23) + long), teacher)

    assert (first.counts["generated"], first.counts["reused"]) == (20, 0)
    assert (second.counts["generated"], second.counts["reused"]) == (3, 20)
    assert second.counts["over_long_prompt"] == 2
    before = {row["id"]: row["token_ids"] for row in read_table(first, ANSWERED_PROMPTS)}
    after = {row["id"]: row["token_ids"] for row in read_table(second, ANSWERED_PROMPTS)}
    assert before.items() <= after.items()
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 23


def test_another_limit_keeps_what_had_finished_and_asks_again_for_the_rest(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    teacher, prompts = teach(store, model), prepare(store, numbered(40))
    short = answer(store, prompts, teacher, sampling={"max_new_tokens": 4})
    finished = [row for row in read_table(short, ANSWERED_PROMPTS) if row["finish_reason"] == "stop"]
    longer = answer(store, prompts, teacher, sampling={"max_new_tokens": 12})
    again = answer(store, prompts, teacher, sampling={"max_new_tokens": 4, "max_prompt_tokens": 59})
    tight = answer(store, prompts, teacher, sampling={"max_new_tokens": 2})

    assert 0 < len(finished) < 40
    assert (longer.counts["reused"], longer.counts["generated"]) == (len(finished), 40 - len(finished))
    assert (again.counts["reused"], again.counts["generated"]) == (40, 0), "rows cut at 4 tokens are the answer at that limit"
    assert all(row["completion_tokens"] <= 2 for row in read_table(tight, ANSWERED_PROMPTS)), "no longer answer is taken over"
    assert len(committed_keys(store)) == len(set(committed_keys(store)))


def test_every_sample_is_a_row_of_its_own(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = answer(store, prepare(store, numbered(5)), teach(store, model), sampling={"temperature": 1.0}, samples_per_prompt=4)
    rows = list(read_table(made, ANSWERED_PROMPTS))

    assert [row["sample_index"] for row in rows] == [0, 1, 2, 3] * 5
    assert len({row["seed"] for row in rows}) == 20
    assert len({tuple(row["token_ids"]) for row in rows}) > 10


def test_one_pass_keeps_text_and_log_probabilities(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = answer(store, prepare(store, numbered(9)), teach(store, model), logprobs={"top_k": 3})
    rows = list(read_table(made, with_logprobs(ANSWERED_PROMPTS, 3)))

    for row in rows:
        assert row["top_ids"].shape == row["top_logprobs"].shape == (len(row["token_ids"]), 3)
        assert (row["top_ids"][:, 0] == row["token_ids"]).all(), "at temperature 0 the likeliest token is taken"
        assert np.allclose(row["top_logprobs"][:, 0], row["token_logprobs"], atol=1e-3)
    assert [row["answer"] for row in read_table(made, ANSWERED_PROMPTS)] == [row["answer"] for row in rows]


def test_a_conversation_is_answered_turn_by_turn_with_the_teachers_own_answers(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    turns = [("user", "one"), ("assistant", "not the teacher's"), ("user", "two")]
    rows = [{"messages": [{"role": role, "content": f"{content} {n}"} for role, content in turns]} for n in range(6)]
    teacher, prompts = teach(store, model), prepare(store, rows, chat=True)
    arguments = {"prompting": {"turns": "all"}, "sampling": {"max_new_tokens": 24, "max_prompt_tokens": 200}}
    made = answer(store, prompts, teacher, **arguments)
    first = {row["id"]: row for row in read_table(made, ANSWERED_PROMPTS) if row["turn"] == 0}
    second = [row for row in read_table(made, ANSWERED_PROMPTS) if row["turn"] == 1]

    assert len(first) == 6
    assert len(second) == sum(row["finish_reason"] == "stop" for row in first.values()) > 0
    for row in second:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant", "user"]
        assert row["messages"][1]["content"] == first[row["id"]]["answer"]
    arguments["sampling"] = {"max_new_tokens": 24, "max_prompt_tokens": 199}
    assert answer(store, prompts, teacher, **arguments).counts["generated"] == 0, "a later run finds the whole chain"


def test_over_long_prompts_lose_their_beginning_if_the_settings_say_so(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prompts = prepare(store, [{"prompt": f"{'very ' * 80}long", "answer": "x"}, *numbered(2)])
    made = answer(store, prompts, teach(store, model), prompting={"over_long_prompts": "truncate_left"})

    assert next(read_table(made, ANSWERED_PROMPTS))["prompt_tokens"] == 60
    assert made.counts["rows"] == 3


def test_answers_of_a_closed_set_task_can_be_held_to_its_labels(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    rows = [{"prompt": f"number {number}", "answer": "hot" if number % 2 else "cold"} for number in range(8)]
    prompts = prepare(store, rows, task="CLASSIFICATION")
    made = answer(store, prompts, teach(store, model), sampling={"structured_output": {"labels": True}, "max_new_tokens": 16})

    assert {row["answer"] for row in read_table(made, ANSWERED_PROMPTS)} <= {"hot", "cold", "x"}, "x is the test row's"
    assert {row["finish_reason"] for row in read_table(made, ANSWERED_PROMPTS)} == {"stop"}


def test_the_record_says_what_was_made_and_what_it_took(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    summary = read_record(answer(store, prepare(store, numbered(10)), teach(store, model))).summary

    assert sum(summary["finish_reasons"].values()) == 10
    assert summary["teachers"] == {str(model): 10}
    assert 1 <= summary["completion_length"]["p50"] <= summary["completion_length"]["max"] <= 8
    assert summary["effort"]["rows"] == 10
    assert summary["effort"]["tokens_per_second"] > 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_loses_at_most_the_open_shard(
    model: Path, tmp_path: Path, prefect_server: None, stop: signal.Signals
) -> None:
    store = tmp_path / "store"
    teacher, prompts = teach(store, model), prepare(store, numbered(400))
    arguments = [str(store), prompts.model_dump_json(), teacher.model_dump_json()]
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, *arguments], cwd=Path(__file__).parents[1])
    while len(list(store.glob("ledger/*/log/*/*.json"))) < 5:
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    os.kill(process.pid, stop)
    assert process.wait(60) != 0
    kept = len(committed_keys(store))
    finished = answer(store, prompts, teacher)

    assert 20 <= kept < 400
    assert finished.counts == {**finished.counts, "rows": 400, "reused": kept, "generated": 400 - kept}
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 400
