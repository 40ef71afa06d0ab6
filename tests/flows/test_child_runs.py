"""Stages on workers of their own, as runs of their deployments: killed, preempted, lost, cut off, and paid for once."""

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect import flow, get_client
from prefect.states import Cancelled

from flows.dispatch import Stages
from flows.store_outage import STATE
from flows.training import train_student
from tasks.core.artifact import Artifact, find_artifact, open_file
from tasks.core.caching import Stage
from tasks.core.errors import DataError, GivenUpError
from tasks.core.records import EXAMPLES
from tasks.core.recovery import RecoverySettings
from tasks.core.s3 import s3_filesystem
from tasks.dataset import DatasetSettings
from tasks.model import ModelSettings, prepare_model
from tasks.student import METRICS_FILE, train
from tasks.training.launch import read_metrics
from tests.models import tiny_model
from tests.prefect_stack import PrefectServer, Worker
from tests.relay import Relay
from tests.servers import S3Server
from tests.trainings import ROWS, example, training_settings, write_examples
from tests.waiting import are_gone, until

pytestmark = pytest.mark.slow

STEPS = 200
SETTINGS = training_settings(method="sft", epochs=25, runtime={"checkpoint_steps": 4})
QUICK = RecoverySettings(first_wait_seconds=1, max_errors=1)
POOL = "student-gpu"
CHECKPOINT_EVERY = 4
NOTICED_SECONDS = 90 + 30  # silence, and the service that looks for it


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def inputs_of(store: str, model: Path, rows: int = ROWS) -> dict[str, Any]:
    """Return the arguments of a training of some ten seconds."""
    start = prepare_model.fn(settings=ModelSettings(source=str(model)), store=store)
    with Stage("dataset", version=1).draft(store, DatasetSettings(), start=start) as draft:
        write_examples(draft.path / EXAMPLES.file, [example(number) for number in range(rows)])
        return {"settings": SETTINGS, "dataset": draft.publish(), "start": start}


@contextmanager
def parent(server: PrefectServer, store: str, inputs: dict[str, Any]) -> Iterator["Future[Artifact]"]:
    """Start a flow in this process that wants a student and has it trained on the pool."""

    @flow(name="parent")
    def wants_a_student() -> Artifact:
        return Stages(store, QUICK).run(train_student, train, "student", POOL, **inputs)

    with server.client_settings(), ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(copy_context().run, wants_a_student)
        finally:  # after a test that failed nobody would work for it, and it would wait for ever
            with get_client(sync_client=True) as client:
                for run in server.flow_runs("SCHEDULED", "PENDING", "RUNNING", "CRASHED", flow="training"):
                    client.set_flow_run_state(UUID(run["id"]), Cancelled(), force=True)


def child_of(server: PrefectServer, before: set[str], *states: str) -> str | None:
    """Return the training that was started since, if it is in one of the states."""
    new = [run["id"] for run in server.flow_runs(*states, flow="training") if run["id"] not in before]
    return new[0] if new else None


def known(server: PrefectServer) -> set[str]:
    return {run["id"] for run in server.flow_runs(flow="training")}


def process_at_work(worker: Worker, store: Path) -> psutil.Process:
    """Wait until a training has a checkpoint, and return its process."""
    until(lambda: list(store.rglob("checkpoint-*/manifest.json")), "a checkpoint", 240)
    found = worker.running("tasks.training.worker")
    assert found is not None
    return found


def starts(student: Artifact) -> list[int]:
    """Return the steps at which a training was started and resumed."""
    rows = read_metrics(open_file(student, METRICS_FILE))
    return [int(row["step"]) for row in rows if row.keys() == {"step", "max_steps", "seconds"}]


def last_step(store: Path) -> int:
    return max((int(row["step"]) for file in store.rglob(METRICS_FILE) for row in read_metrics(file)), default=0)


def test_a_stage_whose_process_is_killed_goes_on_in_place_and_its_parent_says_where_and_how_far(
    server: PrefectServer, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, before = str(tmp_path / "store"), known(server)
    caplog.set_level("INFO")
    with server.worker(POOL) as worker, parent(server, store, inputs_of(store, model)) as student:
        trainer = process_at_work(worker, tmp_path)
        flow_run = trainer.parent()
        assert flow_run is not None
        flow_run.kill()
        until(lambda: are_gone([trainer]), "the end of the training without its owner", 10)
        reached = last_step(tmp_path)
        made = student.result(300)
    run = server.read(child_of(server, before) or "")

    assert run.run_count == 2
    assert [name for name in server.state_names(str(run.id)) if name in {"Crashed", "AwaitingRetry", "Completed"}][
        -1
    ] == "Completed"
    assert made.counts["steps"] == STEPS
    assert starts(made)[1] >= reached - CHECKPOINT_EVERY, "a kill costs the steps since the last checkpoint"
    assert run.name == "student"
    assert f"{run.id}" in caplog.text
    assert re.search(r"student: training: steps: .*per second .* \(100 %\)", caplog.text)
    assert [text for text in caplog.messages if text.startswith("student: ")][-1] == "student: Completed"
    assert run.parent_task_run_id is not None, "it is drawn inside its parent"
    assert os.getpid() != run.infrastructure_pid, "it ran on the worker"


def test_a_worker_that_is_told_to_stop_saves_the_step_and_leaves_no_run_running(
    server: PrefectServer, model: Path, tmp_path: Path
) -> None:
    store, before, log = str(tmp_path / "store"), known(server), tmp_path / "worker.log"
    with parent(server, store, inputs_of(store, model)) as student:
        with server.worker(POOL, log=log) as worker:
            process_at_work(worker, tmp_path)
            family = worker.family
            worker.terminate()
            assert worker.process.wait(60) == 0
            assert are_gone(family)
        reached = last_step(tmp_path)
        crashed = until(lambda: child_of(server, before, "CRASHED", "SCHEDULED"), "the end of the run", 30)
        with server.worker(POOL):
            made = student.result(300)

    assert "Crashed" in server.state_names(crashed)
    assert "1 flow runs ended in time" in log.read_text()
    assert starts(made)[1] == reached, "no step was lost"
    assert server.read(crashed).run_count == 2


@pytest.mark.timeout(900)
def test_a_machine_that_is_gone_is_noticed_and_its_work_goes_on_elsewhere(
    server: PrefectServer, model: Path, tmp_path: Path
) -> None:
    stores, before = [str(tmp_path / name) for name in ("at-work", "starting")], known(server)
    at_work, starting = (inputs_of(store, model, rows) for store, rows in zip(stores, (ROWS, ROWS + 1), strict=True))
    with parent(server, stores[0], at_work) as student, server.worker(POOL, "--limit", "2") as worker:
        process_at_work(worker, tmp_path)
        run = child_of(server, before, "RUNNING")
        assert run is not None
        with parent(server, stores[1], starting) as other:
            taken = until(lambda: child_of(server, {*before, run}, "PENDING"), "the second run to be taken")
            worker.kill()
            lost = time.monotonic()
            assert server.read(taken).state_name in {"Pending", "Submitting"}, "it has started already"
            for each in (run, taken):
                until(lambda each=each: "Crashed" in server.state_names(each), "the silence of a run to be noticed", 240)
            noticed = time.monotonic() - lost
            with server.worker(POOL, "--limit", "2"):
                made, begun = student.result(300), other.result(300)
    print(f"a lost machine was noticed after {noticed:.0f} s")

    assert noticed < NOTICED_SECONDS
    assert [server.read(each).run_count for each in (run, taken)] == [2, 1]
    assert made.counts["steps"] == STEPS
    assert [len(starts(each)) for each in (made, begun)] == [2, 1]


def test_a_server_that_is_restarted_meanwhile_costs_nothing(server: PrefectServer, model: Path, tmp_path: Path) -> None:
    store, before = str(tmp_path / "store"), known(server)
    with server.worker(POOL) as worker, parent(server, store, inputs_of(store, model)) as student:
        process_at_work(worker, tmp_path)
        server.kill()
        time.sleep(3)
        server.restart()
        made = student.result(300)

    assert starts(made) == [0]
    assert server.read(child_of(server, before) or "").run_count == 1


def test_what_no_other_try_can_mend_is_tried_once(server: PrefectServer, model: Path, tmp_path: Path) -> None:
    store, before = str(tmp_path / "store"), known(server)
    inputs = inputs_of(store, model, rows=1)  # the one row is for validation
    with (
        server.worker(POOL),
        parent(server, store, inputs) as student,
        pytest.raises(DataError, match="student, a run of training/"),
    ):
        student.result(300)

    assert server.read(child_of(server, before) or "").run_count == 1


def test_errors_have_a_small_budget(server: PrefectServer, model: Path, tmp_path: Path) -> None:
    store, before = str(tmp_path / "store"), known(server)
    with server.worker(POOL) as worker, parent(server, store, inputs_of(store, model)) as student:
        for _ in range(QUICK.max_errors + 1):
            until(lambda: worker.running("tasks.training.worker"), "a training").kill()
            until(lambda: worker.running("tasks.training.worker") is None or student.done(), "its end", 30)
        with pytest.raises(GivenUpError, match=r"after 2 attempts .*StageFailedError"):
            student.result(300)

    run = server.read(child_of(server, before) or "")
    assert run.state_name == "Failed"
    assert run.run_count == QUICK.max_errors + 1


def test_a_store_that_goes_away_is_waited_for(
    server: PrefectServer, s3_environment: S3Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(int(s3_environment.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{relay.port}")
    monkeypatch.setitem(server.environment, "XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(server.environment, "AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{relay.port}")
    s3_filesystem.cache_clear()
    store, before = f"s3://{s3_environment.bucket}/outage", known(server)
    try:
        inputs = inputs_of(store, model)
        with server.worker(POOL) as worker, parent(server, store, inputs) as student:
            until(lambda: worker.running("tasks.training.worker"), "the training")
            relay.cut()
            until(
                lambda: [run for run in server.flow_runs("RUNNING", flow="parent") if run["state_name"] == STATE], "the wait", 240
            )
            assert not student.done()
            relay.mend()
            made = student.result(300)
            run = server.read(child_of(server, before) or "")
    finally:
        s3_filesystem.cache_clear()

    assert made.counts["steps"] == STEPS
    assert run.run_count == 2
    assert find_artifact(store, "student", made.fingerprint) == made


def test_a_worker_that_cannot_save_in_time_is_ended_all_the_same(server: PrefectServer, model: Path, tmp_path: Path) -> None:
    store, before = str(tmp_path / "store"), known(server)
    with parent(server, store, inputs_of(store, model)) as student:
        with server.worker(POOL, "--grace-seconds", "2") as worker:
            trainer = process_at_work(worker, tmp_path)
            family = worker.family
            trainer.send_signal(signal.SIGSTOP)  # it will not hear SIGTERM
            worker.terminate()
            assert worker.process.wait(30) == 0
            until(lambda: are_gone(family), "the end of all of them", 10)
        until(lambda: child_of(server, before, "CRASHED", "SCHEDULED"), "the end of the run", 30)
        with server.worker(POOL):
            assert student.result(300).counts["steps"] == STEPS
