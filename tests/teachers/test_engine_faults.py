"""An engine that is killed is noticed and started again; an engine whose owner is killed does not outlive it."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.engines import answering, engine_processes, wait_for_rows
from tests.models import tiny_model
from tests.teaching import answer, committed_keys, numbered, prepare, teach

pytestmark = pytest.mark.slow

ROWS = 3000
NOTICED_SECONDS = 5


def test_a_killed_engine_is_noticed_and_started_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    prompts, teacher = prepare(store, numbered(ROWS)), teach(store, tiny_model(tmp_path / "model"))
    with answering(store, prompts, teacher) as process:
        wait_for_rows(store, process, shards=5)
        os.kill(engine_processes(process)[0].pid, signal.SIGKILL)
        killed = time.monotonic()
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "restart 1 of 3" in line:
                break
        noticed = time.monotonic() - killed
        assert "they are asked again" in lines[-1], "".join(lines)
        rest = process.stdout.read()
        assert process.wait(60) == 0, rest

    assert noticed < NOTICED_SECONDS
    assert f"'rows': {ROWS}" in rest
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == ROWS


def test_no_engine_outlives_its_owner(tmp_path: Path) -> None:
    store = tmp_path / "store"
    prompts, teacher = prepare(store, numbered(ROWS)), teach(store, tiny_model(tmp_path / "model"))
    with answering(store, prompts, teacher) as process:
        wait_for_rows(store, process, shards=5)
        engine = engine_processes(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gone, alive = psutil.wait_procs(engine, timeout=NOTICED_SECONDS)
    kept = len(committed_keys(store))

    assert len(gone) >= 2, "the engine core and its worker"
    assert not alive
    assert answer(store, prompts, teacher).counts["reused"] == kept
