"""A whole distillation over three work pools, as an operator sees it: killed, run again, cancelled, retried."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.recipe import load_recipe
from flows.verdict import STATE_NAMES
from tests.prefect_stack import ROOT, PrefectServer, Worker
from tests.recipes import tiny_recipe
from tests.waiting import until

pytestmark = pytest.mark.slow

DEPLOYMENT = "distill/quickstart-on-pools"
VERDICTS = set(STATE_NAMES.values())
STAGES = ("training", "pruning", "generation", "evaluation", "model", "preflight")
LONG = ("student.training.epochs=100", "student.training.learning_rate=0.001")


@pytest.fixture(scope="module")
def workers(server: PrefectServer) -> Iterator[dict[str, Worker]]:
    with ExitStack() as stack:
        pools = {"cpu": "4", "teacher-gpu": "1", "student-gpu": "1"}
        yield {pool: stack.enter_context(server.worker(pool, "--limit", limit)) for pool, limit in pools.items()}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("pools"))


def config_of(recipe: Path, *changes: str) -> dict[str, Any]:
    parts = [recipe, ROOT / "deployments" / "recipes" / "placement" / "pools.yaml"]
    return load_recipe(parts, changes).model_dump(mode="json")


def start(server: PrefectServer, config: dict[str, Any], deployment: str = DEPLOYMENT) -> str:
    """Start a deployment with another recipe and return the run's id."""
    before = {run["id"] for run in server.flow_runs()}
    started = server.command("deployment", "run", deployment, "-p", f"config={json.dumps(config)}")
    assert started.returncode == 0, started.stderr
    (new,) = {run["id"] for run in server.flow_runs()} - before
    return new


def ended(server: PrefectServer, run: str, seconds: float = 1200) -> str:
    """Wait until a run is over and return its state's name."""

    def final() -> str | None:
        state = server.read(run).state
        return state.name if state is not None and state.is_final() and not state.is_crashed() else None

    return until(final, "the end of the run", seconds)


def stage_runs(server: PrefectServer) -> dict[str, dict[str, Any]]:
    return {run["id"]: run for flow in STAGES for run in server.flow_runs(flow=flow)}


def started_since(server: PrefectServer, before: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for run_id, run in stage_runs(server).items() if run_id not in before]


def process_of(worker: Worker, flow_run: str) -> psutil.Process | None:
    """Return the process of a flow run on a worker."""
    for each in worker.family:
        with suppress(psutil.Error):
            if each.environ().get("PREFECT__FLOW_RUN_ID") == flow_run:
                return each
    return None


def training_of_the_student(server: PrefectServer, worker: Worker) -> tuple[psutil.Process, dict[str, Any]]:
    """Wait until the student is being trained, hold its training still, and return its process and its flow run.

    Held still, because it takes seconds: whatever a test does meanwhile would come too late on a busy machine.
    """
    seen = set()  # the teacher is trained on the same machine before

    def found() -> tuple[psutil.Process, dict[str, Any]] | None:
        training = worker.running("tasks.training.worker")
        if training is None or training.pid in seen:
            return None
        with suppress(psutil.NoSuchProcess):
            training.suspend()
            run = server.read(training.environ()["PREFECT__FLOW_RUN_ID"]).model_dump(mode="json")
            if run["name"] == "student":
                return training, run
            training.resume()
            seen.add(training.pid)
        return None

    return until(found, "the training of the student", 1200)


@pytest.mark.timeout(3000)
def test_a_scheduled_run_whose_own_process_is_killed_goes_on_without_starting_anything_twice(
    server: PrefectServer, workers: dict[str, Worker], recipe: Path
) -> None:
    before = stage_runs(server)
    run = server.schedule(DEPLOYMENT, {"config": config_of(recipe, *LONG)})
    training, _ = training_of_the_student(server, workers["student-gpu"])
    until(lambda: process_of(workers["cpu"], run), "the run's process").kill()
    until(lambda: "Crashed" in server.state_names(run), "the crash", 120)
    training.resume()

    assert ended(server, run) in VERDICTS
    names = server.state_names(run)
    assert names.count("AwaitingRetry") == 1, "resumed once for one crash"
    stages = started_since(server, before)
    assert Counter(stage["name"] for stage in stages) == {
        "teacher's model": 1,
        "preflight": 1,
        "teacher's adaptation": 1,
        "student's pruning": 1,
        "generations": 1,
        "student": 1,
        "evaluation of teacher": 1,
        "evaluation of baseline": 1,
        "evaluation of student": 1,
    }
    assert {stage["run_count"] for stage in stages} == {1}

    before, began = stage_runs(server), time.monotonic()
    assert ended(server, start(server, config_of(recipe, *LONG))) in VERDICTS
    print(f"a run of the deployment with nothing left to do took {time.monotonic() - began:.0f} s")
    assert started_since(server, before) == [], "what is there is sent nowhere"


@pytest.mark.timeout(3000)
def test_a_cancelled_run_takes_its_stages_along_and_a_retry_does_what_is_missing(
    server: PrefectServer, workers: dict[str, Worker], recipe: Path
) -> None:
    before = stage_runs(server)
    run = start(server, config_of(recipe, *LONG, "student.training.seed=1"))
    training, student = training_of_the_student(server, workers["student-gpu"])
    server.command("flow-run", "cancel", run)
    # The server looks every 20 s for runs whose parent was cancelled: the training would be over.
    until(lambda: {"Cancelling", "Cancelled"} & {*server.state_names(student["id"])}, "the cancellation of the stage", 120)
    training.resume()

    assert ended(server, run) == "Cancelled"
    assert ended(server, student["id"], 120) == "Cancelled"
    until(lambda: workers["student-gpu"].running("tasks.training.worker") is None, "the end of the training", 60)

    server.command("flow-run", "retry", run)
    until(lambda: server.state_names(run).count("Scheduled") == 2, "the retry", 30)
    until(lambda: server.read(run).state_name in VERDICTS, "the end of the retried run", 1200)
    stages = {stage["name"]: stage["run_count"] for stage in started_since(server, before)}
    assert stages.pop("student") == 2
    assert set(stages.values()) == {1}, "what was done is not done again"


@pytest.mark.timeout(3000)
def test_a_deployment_without_pools_of_its_own_finds_what_the_pools_have_made(
    server: PrefectServer, workers: dict[str, Worker], recipe: Path
) -> None:
    before = stage_runs(server)
    run = start(server, load_recipe(recipe, LONG).model_dump(mode="json"), "distill/quickstart")

    assert ended(server, run) in VERDICTS
    assert server.read(run).name == "tiny"
    assert started_since(server, before) == []
