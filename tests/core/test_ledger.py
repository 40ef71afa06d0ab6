"""A committed row is found by every later run, once, and by nobody else; a kill loses the open shard and nothing more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core.errors import StoreUnreachableError
from tasks.core.ledger import Ledger, row_key, row_seed
from tasks.core.records import Generation
from tasks.core.storage import open_store

TEACHER = {"model": "0" * 64, "temperature": 0.7}
ROOT = Path(__file__).parents[2]

COMMIT_ONE_OF_TWO_SHARDS = """
import sys
from tasks.core.ledger import Ledger
from tests.core.test_ledger import TEACHER, answer

ledger = Ledger(sys.argv[1], TEACHER)
ledger.commit([answer(ledger, number) for number in range(3)])
rows = [answer(ledger, number) for number in range(3, 6)]
print("committed", flush=True)
sys.stdin.readline()  # killed here
ledger.commit(rows)
"""


def answer(ledger: Ledger, number: int, text: str = "four") -> Generation:
    key = row_key(ledger.namespace, [1, 2, number], sample_index=0)
    return Generation(key=key, answer=text, token_ids=[7, number], finish_reason="stop", prompt_tokens=3, seed=row_seed(key))


def test_committed_rows_are_found_by_another_run(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER)
    rows = [answer(ledger, number) for number in range(5)]
    ledger.commit(rows[:2])
    ledger.commit(rows[2:])
    later = Ledger(store_url, TEACHER)
    keys = {row["key"] for row in rows}
    assert later.keys() == keys
    assert sorted(later.read(keys), key=lambda row: row["token_ids"]) == rows


def test_only_the_wanted_rows_are_read(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER)
    rows = [answer(ledger, number) for number in range(5)]
    ledger.commit(rows)
    wanted = {rows[3]["key"], "never committed"}
    assert list(ledger.read(wanted)) == [rows[3]]
    assert wanted == {rows[3]["key"], "never committed"}


def test_a_new_ledger_is_empty(store_url: str) -> None:
    assert Ledger(store_url, TEACHER).keys() == set()
    assert list(Ledger(store_url, TEACHER).read({"key"})) == []


def test_rows_of_another_teacher_or_other_sampling_are_not_found(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER)
    ledger.commit([answer(ledger, 0)])
    for other in ({**TEACHER, "model": "1" * 64}, {**TEACHER, "temperature": 0.8}):
        assert Ledger(store_url, other).keys() == set()


def test_a_row_committed_twice_is_read_once(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER)
    ledger.commit([answer(ledger, 0, "first"), answer(ledger, 1)])
    ledger.commit([answer(ledger, 0, "second"), answer(ledger, 2)])
    keys = {answer(ledger, number)["key"] for number in range(3)}
    read = list(ledger.read(keys))
    assert sorted(row["key"] for row in read) == sorted(keys)
    assert read == list(Ledger(store_url, TEACHER).read(keys))


def test_the_same_shard_twice_is_one_shard_and_the_first(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER)
    ledger.commit([answer(ledger, 0, "first")])
    ledger.commit([answer(ledger, 0, "second")])
    assert [row["answer"] for row in ledger.read(ledger.keys())] == ["first"]
    assert len(open_store(store_url).keys("ledger")) == 1


def test_a_key_depends_on_teacher_prompt_and_sample() -> None:
    answers = [("a", [1, 2], 0), ("b", [1, 2], 0), ("a", [2, 1], 0), ("a", [12], 0), ("a", [1, 2], 1)]
    assert len({row_key(*answer) for answer in answers}) == 5


def test_neighbouring_rows_have_different_seeds_in_range() -> None:
    seeds = [row_seed(row_key("teacher", [prompt], sample)) for prompt in range(100) for sample in range(10)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) > 2**30


def test_a_killed_run_leaves_exactly_the_committed_rows(store_url: str) -> None:
    command = [sys.executable, "-c", COMMIT_ONE_OF_TWO_SHARDS, store_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
    ledger = Ledger(store_url, TEACHER)
    rows = [answer(ledger, number) for number in range(6)]
    committed = ledger.keys()
    assert committed == {row["key"] for row in rows[:3]}
    ledger.commit([row for row in rows if row["key"] not in committed])
    assert ledger.keys() == {row["key"] for row in rows}


@pytest.mark.slow
def test_a_ledger_that_does_not_answer_is_not_taken_for_empty(unreachable_s3_url: str) -> None:
    with pytest.raises(StoreUnreachableError):
        Ledger(unreachable_s3_url, TEACHER).keys()
