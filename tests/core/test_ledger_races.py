"""However many runs commit at once and however they end, each row is in the log once and every committed row is there."""

import multiprocessing
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from threading import Thread

import pytest

from tests.core.ledgers import answers, commit_until_killed, found, key_of, logged_keys, open_ledger, race


@pytest.fixture
def processes() -> ForkServerContext:
    """Processes that start in milliseconds, from a server that has the modules loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.core.ledgers"])
    return context


@pytest.mark.slow
def test_four_processes_that_commit_the_same_rows(store_url: str, processes: ForkServerContext) -> None:
    rows, runners = 200, 4
    start = processes.Barrier(runners)
    received, report = processes.Pipe(duplex=False)
    running = [
        processes.Process(target=race, args=(store_url, dict(os.environ), seed, rows, start, report)) for seed in range(runners)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=120)
    assert [process.exitcode for process in running] == [0] * runners
    assert sum(received.recv() for _ in running) == rows
    ledger = open_ledger(store_url)
    assert sorted(logged_keys(store_url)) == sorted(key_of(ledger, number) for number in range(rows))
    assert found(ledger, range(rows + 10)) == list(range(rows))


def test_eight_threads_that_commit_overlapping_rows(store_url: str) -> None:
    def run(first: int) -> int:
        ledger = open_ledger(store_url)
        return sum(ledger.commit(answers(ledger, range(at, at + 6))) for at in range(first, first + 30, 3))

    with ThreadPoolExecutor(8) as pool:
        committed = list(pool.map(run, range(0, 40, 5)))
    ledger = open_ledger(store_url)
    assert sum(committed) == len(logged_keys(store_url)) == len(set(logged_keys(store_url)))
    assert len(found(ledger, range(100))) == len(logged_keys(store_url))


def test_one_ledger_commits_in_the_background_while_it_looks_up(store_url: str) -> None:
    ledger = open_ledger(store_url)

    def commit() -> None:
        for first in range(0, 120, 4):
            ledger.commit(answers(ledger, range(first, first + 4)))

    background = Thread(target=commit)
    background.start()
    seen: list[int] = []
    while background.is_alive():
        now = found(ledger, range(120))
        assert set(seen) <= set(now)
        seen = now
    background.join()
    assert found(ledger, range(130)) == list(range(120))
    assert ledger.taken == set()
    assert len(logged_keys(store_url)) == 120


@pytest.mark.slow
def test_twenty_kills_leave_exactly_the_committed_rows(store_url: str, processes: ForkServerContext) -> None:
    chance, first, ledger = random.Random(0), 0, open_ledger(store_url)
    for _ in range(20):
        received, report = processes.Pipe(duplex=False)
        process = processes.Process(target=commit_until_killed, args=(store_url, dict(os.environ), first, report))
        process.start()
        report.close()
        committed = _kill(process, received, chance.uniform(0, 0.05))
        there = found(ledger, range(first, committed[-1] + 12))
        assert there == list(range(first, there[-1] + 1))
        assert there[-1] + 1 in (committed[-1] + 3, committed[-1] + 6), (
            "the shard that was under way is there whole or not at all"
        )
        first = there[-1] + 1
    assert logged_keys(store_url) == [key_of(ledger, number) for number in range(first)]
    assert found(open_ledger(store_url), range(first)) == list(range(first))


def _kill(process: ForkServerProcess, received: Connection, seconds: float) -> list[int]:
    """Kill a process some time after its first commit; return what it reported."""
    assert received.poll(60)
    committed = [received.recv()]
    process.join(seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    try:
        while True:
            committed.append(received.recv())
    except EOFError:
        return committed
