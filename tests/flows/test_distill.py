"""The whole path on real parts and a tiny model: run and run again on S3, be killed and go on in a local folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from flows.distill import distill
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tasks.report import read_report
from tests.flows.runs import task_runs
from tests.teaching import committed_keys

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_a_run_ends_with_a_report_on_all_three_models(report: Artifact) -> None:
    content = read_report(report)

    assert set(content.models) == {"teacher", "baseline", "student"}
    assert content.items == 12
    assert content.models["teacher"].metrics["accuracy"].value > 0.5
    assert content.retained.low is not None
    assert (content.models["student"].weight_bytes or 0) < (content.models["teacher"].weight_bytes or 0)
    assert content.stages["dataset"]["counts"]["train"] > 0


def test_a_second_run_re_uses_every_stage_and_says_so(report: Artifact, recipe: Path) -> None:
    state = distill(load_recipe(recipe), return_state=True)

    assert state.result(raise_on_failure=True) == report
    runs = task_runs(state, 13)
    names = {run.state_name for run in runs}
    assert names == {"Cached"}, sorted((run.name, run.state_name) for run in runs)
    assert len(runs) == 13


def test_a_change_in_how_work_is_run_re_uses_it_and_a_change_in_what_is_asked_does_not(report: Artifact, recipe: Path) -> None:
    faster = distill(load_recipe(recipe, ["generations.runtime.shard_rows=3", "student.training.runtime.checkpoint_steps=9"]))
    stricter = distill(load_recipe(recipe, ["report.min_retained=0.99"]))

    assert faster == report
    assert stricter.fingerprint != report.fingerprint


def test_a_run_killed_in_generation_and_in_training_goes_on_where_it_was(recipe: Path, report: Artifact, tmp_path: Path) -> None:
    store = tmp_path / "artifacts"

    def ledger() -> list[Path]:
        return sorted(store.glob("ledger/*/log/*/*.json"))

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flows.distill", str(recipe), "--set", f"store={store}"]
        environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    _kill_when(start(), lambda: len(ledger()) >= 2)
    kept = {path: path.stat().st_mtime_ns for path in ledger()}
    _kill_when(start(), lambda: len(list(store.glob(".work/student/*/checkpoints/*/manifest.json"))) >= 1 and _asked(store))
    finished = start()
    output, _ = finished.communicate(timeout=400)

    assert finished.returncode == 0
    report_json = Path(output.decode().splitlines()[-1])
    assert json.loads(report_json.read_text())["items"] == 12
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in kept.items())
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 52


def _asked(store: Path) -> bool:
    """Return whether the teacher's adaptation is over, so that the training going on is the student's."""
    return bool(list(store.glob("generations/*/record.json")))


def _kill_when(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    for _ in _until_timeout(300):
        if condition():
            break
        assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _until_timeout(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
    raise TimeoutError(f"waited {seconds} s in vain")
