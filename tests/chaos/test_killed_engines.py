"""Engines in processes of their own, killed twenty times: each death is noticed in seconds, and no engine outlives its run."""

import random
import subprocess
import threading
import time
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from tests.engines import answering, engine_processes, wait_for_rows
from tests.models import tiny_model
from tests.teaching import committed_keys, numbered, prepare, teach

KILLS = 20
ROWS = 8000
CORE, WORKER = 0, 1  # as engine_processes orders them
NOTICED_SECONDS = 5
WORKER_NOTICED_SECONDS = 15  # vLLM's engine core gives the other workers some seconds to end before it says so
GONE_SECONDS = 5
GONE_WHILE_LOADING_SECONDS = 60
LONGEST_WORK_SECONDS = 0.5


@pytest.mark.timeout(1800)
def test_twenty_killed_engines_of_one_run_are_noticed_and_started_again(tmp_path: Path) -> None:
    chance, store = random.Random(0), tmp_path / "store"
    prompts, teacher = prepare(store, numbered(ROWS)), teach(store, tiny_model(tmp_path / "model"))
    noticed: dict[int, list[float]] = {CORE: [], WORKER: []}
    with answering(store, prompts, teacher) as process:
        deaths, output = SimpleQueue[float](), list[str]()
        reader = threading.Thread(target=_read, args=(process, output, deaths), daemon=True)
        reader.start()
        for number in range(KILLS):
            wait_for_rows(store, process, shards=_shards(store) + 2)
            time.sleep(chance.uniform(0, LONGEST_WORK_SECONDS))
            _running_engine(process)[number % 2].kill()
            killed = time.monotonic()
            noticed[number % 2].append(deaths.get(timeout=60) - killed)
        assert process.wait(180) == 0, "".join(output)
        reader.join(10)
    print(f"an engine core's death was noticed after {max(noticed[CORE]):.2f} s at most, a worker's {max(noticed[WORKER]):.2f} s")

    assert max(noticed[CORE]) < NOTICED_SECONDS
    assert max(noticed[WORKER]) < WORKER_NOTICED_SECONDS
    assert f"'rows': {ROWS}" in "".join(output)
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == ROWS


@pytest.mark.timeout(1800)
def test_no_engine_outlives_one_of_twenty_killed_runs(tmp_path: Path) -> None:
    chance, store = random.Random(0), tmp_path / "store"
    prompts, teacher = prepare(store, numbered(ROWS)), teach(store, tiny_model(tmp_path / "model"))
    gone: list[float] = []
    for _ in range(KILLS):
        with answering(store, prompts, teacher) as process:
            wait_for_rows(store, process, shards=_shards(store) + 1)
            time.sleep(chance.uniform(0, LONGEST_WORK_SECONDS))
            assert len(engine_processes(process)) >= 2, "the engine core and its worker"
            gone.append(_seconds_until_gone(process, GONE_SECONDS))
    print(f"gone after {max(gone):.2f} s at most, {sum(gone) / KILLS:.2f} s on average")

    assert len(committed_keys(store)) == len(set(committed_keys(store)))


@pytest.mark.timeout(1200)
def test_no_engine_outlives_a_run_that_is_killed_while_it_loads(tmp_path: Path) -> None:
    chance, store = random.Random(0), tmp_path / "store"
    prompts, teacher = prepare(store, numbered(100)), teach(store, tiny_model(tmp_path / "model"))
    gone: list[float] = []
    for _ in range(5):
        with answering(store, prompts, teacher) as process:
            _wait_for_children(process)
            time.sleep(chance.uniform(0, 5))
            gone.append(_seconds_until_gone(process, GONE_WHILE_LOADING_SECONDS))
    print(f"gone after {max(gone):.2f} s at most when killed while loading")

    assert committed_keys(store) == []


def _running_engine(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return engine core and worker; the last engine's rows may be committed when the next one has not started yet."""
    deadline = time.monotonic() + 120
    while len(engine := engine_processes(process)) < 2:
        assert process.poll() is None and time.monotonic() < deadline, "it starts no engine"
        time.sleep(0.02)
    return engine


def _read(process: "subprocess.Popen[str]", output: list[str], deaths: "SimpleQueue[float]") -> None:
    """Read a run's output and note when it says that its engine died, always the first time without progress."""
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        if "restart 1 of 3" in line:
            deaths.put(time.monotonic())


def _seconds_until_gone(process: "subprocess.Popen[str]", timeout: float) -> float:
    """Kill a run and return how long it takes until none of its processes is left."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    killed = time.monotonic()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=timeout)
    assert not alive, [(member.pid, member.name()) for member in alive]
    return time.monotonic() - killed


def _wait_for_children(process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not psutil.Process(process.pid).children():
        assert process.poll() is None and time.monotonic() < deadline, "it starts no engine"
        time.sleep(0.02)


def _shards(store: Path) -> int:
    return len(list(store.glob("ledger/*/log/*/*.json")))
