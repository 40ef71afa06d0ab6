"""The whole path on real parts and a tiny model, on S3: killed twice and gone on with, run again, changed, tidied up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from flows.distill import distill
from flows.garbage import collect_garbage
from flows.recipe import load_recipe
from flows.verdict import STATE_NAMES
from tasks.core.artifact import Artifact, read_record
from tasks.core.listing import StoredObject
from tasks.core.records import EXAMPLES
from tasks.core.storage import open_store
from tasks.core.tables import read_table
from tasks.garbage import GarbageSettings
from tasks.report import read_report
from tests.core.garbage.stores import make
from tests.flows.runs import task_runs
from tests.teaching import committed_keys
from tests.waiting import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Interrupted:
    """A run that was killed in the teacher's generation, killed again in the student's training, and then came to its end."""

    report: Artifact
    ledger: list[StoredObject]
    """What the first of the three had committed."""


@pytest.fixture(scope="module")
def interrupted(recipe: Path, prefect_server: None) -> Interrupted:
    store = open_store(load_recipe(recipe).store)

    def ledger() -> list[StoredObject]:
        return [found for found in store.objects("ledger") if "/log/" in found.key]

    def generated() -> bool:  # before, the training that is going on is that of the teacher's adaptation
        return any(key.endswith("/record.json") for key in store.keys("generations"))

    kill_when(recipe, lambda: len(ledger()) >= 2)
    committed = ledger()
    kill_when(recipe, lambda: generated() and any(store.work.glob("student/*/checkpoints/*/manifest.json")))
    return Interrupted(distill(load_recipe(recipe)), committed)


@pytest.fixture(scope="module")
def report(interrupted: Interrupted) -> Artifact:
    return interrupted.report


def start(recipe: Path) -> "subprocess.Popen[bytes]":
    """Start a run as a user does."""
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    command = [sys.executable, "-m", "flows.distill", str(recipe)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def kill_when(recipe: Path, condition: Callable[[], bool]) -> None:
    """Start a run, and kill it at a moment."""
    with start(recipe) as process:

        def has_come() -> bool:
            assert process.poll() is None, "the run ended before it could be killed"
            return condition()

        until(has_come, "the moment to kill the run", 400)
        process.send_signal(signal.SIGKILL)


@pytest.mark.timeout(1800)
def test_a_run_ends_with_a_report_on_all_three_models(report: Artifact) -> None:
    content = read_report(report)

    assert set(content.names) == {"teacher", "baseline", "student"}
    assert content.items == 12
    assert content.tasks[0].metrics["accuracy"]["teacher"].value > 0.5
    assert content.retained.low is not None
    for served in content.serving.values():
        memory, peak = served.memory, served.peak_memory_bytes
        assert memory is not None and memory.requests > 1
        assert peak is not None and peak > memory.total_bytes, "the engine held what serving is said to need, and more"
    saved = next(row.change for row in content.case_study if row.figure == "memory")
    assert saved is not None and 0 < saved.value < 1
    assert set(content.tasks[0].fidelity) == {"teacher", "baseline", "student"}, "they have the same tokens"
    assert content.stages["dataset"]["counts"]["train"] > 0


def test_a_run_killed_in_generation_and_in_training_went_on_where_it_was(interrupted: Interrupted) -> None:
    there = open_store(interrupted.report.store).objects("ledger")
    keys = committed_keys(interrupted.report.store)

    assert interrupted.ledger
    assert set(interrupted.ledger) <= set(there), "what was committed is not written again"
    assert len(keys) == len(set(keys)) == 52
    interruptions = read_report(interrupted.report).interruptions.in_all
    assert interruptions is not None
    assert interruptions.killed == 2


def test_a_second_run_re_uses_every_stage_and_says_so(report: Artifact, recipe: Path) -> None:
    state = distill(load_recipe(recipe), return_state=True)

    assert state.result(raise_on_failure=True) == report
    assert state.is_completed()
    assert state.name == STATE_NAMES[read_report(report).verdict], "an automation can tell a hold from a promotion"
    runs = task_runs(state, 13)
    names = {run.state_name for run in runs}
    assert names == {"Cached"}, sorted((run.name, run.state_name) for run in runs)
    assert len(runs) == 13


def test_the_command_ends_with_the_place_of_the_report(report: Artifact, recipe: Path) -> None:
    with start(recipe) as process:
        output, _ = process.communicate(timeout=400)

    assert process.returncode == 0
    assert json.loads(Path(output.decode().splitlines()[-1]).read_text())["items"] == 12


def test_a_change_in_how_work_is_run_re_uses_it_and_a_change_in_what_is_asked_does_not(report: Artifact, recipe: Path) -> None:
    faster = distill(load_recipe(recipe, ["generations.runtime.shard_rows=3", "student.training.runtime.checkpoint_steps=9"]))
    stricter = distill(load_recipe(recipe, ["report.min_retained=0.99", "student.control=true"]))

    assert faster == report
    assert stricter.fingerprint != report.fingerprint
    inputs, before = read_record(stricter).inputs, read_record(report).inputs
    control = read_record(read_record(inputs["control_evaluation"]).inputs["model"])
    assert control.inputs["start"] == read_record(before["student"]).inputs["start"]
    assert {row["teacher"] for row in read_table(control.inputs["dataset"], EXAMPLES)} == {None}, "it learnt references"
    assert {name: inputs[name] for name in before} == before, "and the rest of the run is as it was"


def test_a_collection_of_garbage_takes_nothing_that_the_next_run_needs(report: Artifact, recipe: Path, tmp_path: Path) -> None:
    store, copy = open_store(report.store), open_store(str(tmp_path / "copy"))
    for found in store.objects():
        (tmp_path / "object").write_bytes(store.read(found.key))
        copy.upload(tmp_path / "object", found.key)
    unneeded = make(copy.url, "student", "of a recipe that was given up")
    collection = collect_garbage(GarbageSettings(store=copy.url, dry_run=False, min_age_days=0, unfinished_days=0))
    assert [(heap.what, heap.names) for heap in collection.heaps] == [("artefact", (unneeded.key,))]
    again = distill(load_recipe(recipe, [f"store={copy.url}"]))
    assert again.fingerprint == report.fingerprint
    assert {found.key for found in copy.objects() if found.key.endswith("record.json")} == {
        found.key for found in store.objects() if found.key.endswith("record.json")
    }
