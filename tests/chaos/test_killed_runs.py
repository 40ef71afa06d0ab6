"""A run that is killed at any moment, twenty times over: no row is lost, none is committed twice, nothing is left running."""

import multiprocessing
import random
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psutil
import pytest

from tasks.core.artifact import Artifact
from tasks.core.records import ANSWERED_PROMPTS
from tasks.core.tables import read_table
from tests.models import tiny_model
from tests.teaching import answer, committed_keys, numbered, prepare, teach

KILLS = 20
ROWS = 6000
LONGEST_START_SECONDS = 6.0
LONGEST_WORK_SECONDS = 1.0


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> ForkServerContext:
    """Processes that have the libraries loaded from the start, so that most kills hit the work and not the imports."""
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.teaching", "tasks.generating.generation", "tasks.generating.joining", "tasks.teachers.vllm"]
    )
    return context


@pytest.mark.timeout(1200)
def test_twenty_killed_runs_lose_and_repeat_nothing(tmp_path: Path, processes: ForkServerContext) -> None:
    chance, store = random.Random(0), tmp_path / "store"
    prompts, teacher = prepare(store, numbered(ROWS)), teach(store, tiny_model(tmp_path / "model"))
    kept: set[str] = set()
    working = 0
    for number in range(KILLS):
        process = processes.Process(target=answer, args=(store, prompts, teacher))
        process.start()
        assert process.pid is not None
        if number % 2:
            time.sleep(chance.uniform(0, LONGEST_START_SECONDS))
        else:
            _wait_for_more_than(len(kept), store, process.pid)
            time.sleep(chance.uniform(0, LONGEST_WORK_SECONDS))
        children = psutil.Process(process.pid).children(recursive=True)
        assert process.is_alive(), f"it ended with {process.exitcode} before kill {number}; more rows are needed"
        process.kill()
        process.join()
        assert not any(child.is_running() for child in children)
        keys = committed_keys(store)
        assert kept <= set(keys), "a committed row was lost"
        assert len(keys) == len(set(keys)), "a row was committed twice"
        working += len(keys) > len(kept)
        kept = set(keys)
    made = answer(store, prompts, teacher)
    print(f"{working} of {KILLS} killed runs committed rows, {len(kept)} in all")

    assert working >= KILLS // 2
    assert made.counts == {**made.counts, "rows": ROWS, "reused": len(kept), "generated": ROWS - len(kept)}
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == ROWS
    _require_every_row(made)


def _wait_for_more_than(rows: int, store: Path, pid: int) -> None:
    deadline = time.monotonic() + 120
    while len(committed_keys(store)) <= rows:
        assert psutil.pid_exists(pid), "it ended before it had answered"
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.05)


def _require_every_row(made: Artifact) -> None:
    rows = list(read_table(made, ANSWERED_PROMPTS))
    assert len({row["id"] for row in rows}) == len({row["key"] for row in rows}) == ROWS
    assert all(row["token_ids"] for row in rows)
