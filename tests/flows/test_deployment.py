"""The deployment as a user runs it: a server, ``prefect deploy``, a worker, a run, a schedule."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import numpy as np
import pytest
from prefect import get_client
from prefect.states import Cancelled, Crashed

from deployments.missed_crashes import AUTOMATION, resume_missed_crashes
from flows.child_runs import run_deployed
from flows.curation import curate_dataset
from flows.recipe import load_recipe
from tasks.core.caching import find_finished
from tasks.core.errors import GivenUpError
from tasks.core.records import ANNOTATIONS, ANSWERED_PROMPTS
from tasks.core.recovery import RecoverySettings
from tasks.core.tables import read_table
from tasks.dataset import DatasetSettings
from tasks.generating.spans import Span
from tasks.generations import generate
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tests.flows.generating import committed_shards, descendants, finish, generation, wait_until
from tests.models import tiny_model
from tests.prefect_stack import PrefectServer
from tests.teaching import committed_keys, numbered, prepare, settings, teach
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_a_bad_setting_is_refused_before_a_run_exists(server: PrefectServer, recipe: Path) -> None:
    config = load_recipe(recipe).model_dump(mode="json")
    config["student"]["training"]["method"] = "magic"
    before = len(server.flow_runs("SCHEDULED", "PENDING", "RUNNING"))
    refused = server.command("deployment", "run", "distill/quickstart", "-p", f"config={json.dumps(config)}")

    assert refused.returncode != 0
    assert "config.student.training.method" in refused.stdout + refused.stderr
    assert len(server.flow_runs("SCHEDULED", "PENDING", "RUNNING")) == before


def test_partitions_are_runs_of_their_own_and_a_killed_one_is_run_again(server: PrefectServer, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prompts, teacher = prepare(store, numbered(600)), teach(store, tiny_model(tmp_path / "model"))
    runtime: dict[str, Any] = {
        "partitions": 2,
        "recovery": {"first_wait_seconds": 1},
        "partition_deployment": "generation-partition/teacher-gpu",
    }
    with (
        server.worker("teacher-gpu", "--limit", "2") as worker,
        generation(store, prompts, teacher, {"PREFECT_API_URL": server.environment["PREFECT_API_URL"]}, **runtime) as parent,
    ):
        wait_until(lambda: committed_shards(store) >= 10, parent)
        victim, *_ = descendants(worker.process.pid, "tasks.generating.partition")
        flow_run = victim.parent()
        assert flow_run is not None
        flow_run.kill()
        victim.wait(10)
        finish(parent)
    made = find_finished(generate, settings=settings(runtime=runtime), store=str(store), prompts=prompts, teacher=teacher)
    runs = server.flow_runs("COMPLETED", flow="generation-partition")

    assert made is not None
    assert [row["text"] for row in read_table(made, ANSWERED_PROMPTS)] == [row["prompt"] for row in numbered(600)]
    assert sorted(run["run_count"] for run in runs) == [1, 2]
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 600


def test_a_curation_is_spread_over_runs_on_the_pool_with_the_result_of_one_process(server: PrefectServer, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in range(500)]
    rows = [{"prompt": " ".join(random.choice(words, 30)), "answer": " ".join(random.choice(words, 30))} for _ in range(60)]
    rows += [{"prompt": f"{row['prompt']} again", "answer": row["answer"]} for row in rows[:20]]
    rows += [{"prompt": f"Who is jane{number}@still.org?", "answer": "Jane."} for number in range(5)]
    kept = []
    for place, runtime in (("here", {}), ("pool", {"partitions": 2, "partition_deployment": "curation-partition/cpu"})):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        prompts = PromptsSettings(train=(str(folder / "rows.jsonl"),), reference_field="answer")
        asked = prepare_prompts.fn(settings=prompts, store=str(folder))
        student = prepare_model.fn(settings=ModelSettings(source=str(tiny_model(folder / "model"))), store=str(folder))
        curation = DatasetSettings.model_validate(
            {"min_examples": 1, "filters": {"decontamination": {"mode": "off"}, "length": {"mode": "off"}}, "runtime": runtime}
        )
        with server.client_settings(), server.worker("cpu", "--limit", "2"):
            dataset = curate_dataset(settings=curation, store=str(folder), prompts=asked, student=student)
        kept.append({row["id"]: row["reasons"] for row in read_table(dataset, ANNOTATIONS)})

    assert kept[0] == kept[1]
    assert ["near_duplicate"] in kept[0].values()
    assert ["pii"] in kept[0].values()
    assert len(server.flow_runs("COMPLETED", flow="curation-partition")) == 4  # two for the rows, two for the pairs


def test_a_partition_that_no_worker_can_start_is_given_up(server: PrefectServer, tmp_path: Path) -> None:
    prompts = prepare(tmp_path / "store", numbered(1))
    values: dict[str, Any] = {
        "settings": settings(),
        "store": prompts.store,
        "prompts": prompts,
        "teacher": prompts,
        "span": Span(),
        "report": f"partitions/{UUID(int=0)}/0000.json",
    }
    budget = RecoverySettings(max_preemptions=2, first_wait_seconds=0)
    with (
        server.client_settings(),
        get_client(sync_client=True) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(
            copy_context().run, run_deployed, "generation-partition/teacher-gpu", {"one": values}, prompts.store, budget
        )
        while not waiting.done():
            for run in server.flow_runs("SCHEDULED", flow="generation-partition"):
                client.set_flow_run_state(UUID(run["id"]), Crashed(), force=True)
            time.sleep(0.2)

        with pytest.raises(GivenUpError, match=r"one, a run of generation-partition/.* ended as Crashed; .* 3 attempts"):
            waiting.result()


def test_a_worker_that_ends_with_an_error_is_started_again(server: PrefectServer, tmp_path: Path) -> None:
    with server.worker("student-gpu", log=tmp_path / "worker.log") as worker:
        started = until(lambda: worker.running("deployments.process_worker"), "Prefect's worker")
        started.kill()
        until(lambda: (again := worker.running("deployments.process_worker")) and again != started, "Prefect's worker again")
        worker.terminate()
        assert worker.process.wait(30) == 0
    assert "prefect worker start ended with status -9; it is started again" in (tmp_path / "worker.log").read_text()


def test_a_crash_that_the_automation_missed_is_resumed_unless_the_operator_switched_that_off(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.missed_crashes._MISSED", timedelta(0))

    async def look() -> None:
        async with get_client() as client:
            await resume_missed_crashes(client)

    with server.client_settings(), get_client(sync_client=True) as client:
        server.command("automation", "pause", AUTOMATION)
        run = client.create_flow_run_from_deployment(client.read_deployment_by_name("distill/quickstart").id).id
        try:
            client.set_flow_run_state(run, Crashed(), force=True)
            anyio.run(look)
            assert server.read(run).state_name == "Crashed"
            server.command("automation", "resume", AUTOMATION)
            anyio.run(look)
            assert server.read(run).state_name == "AwaitingRetry"
        finally:
            server.command("automation", "resume", AUTOMATION)
            client.set_flow_run_state(run, Cancelled(), force=True)


def test_setting_up_again_changes_nothing_and_leaves_alone_what_the_operator_switched(server: PrefectServer) -> None:
    schedules = server.command("deployment", "schedule", "ls", "distill/quickstart", "--output", "json")
    (schedule,) = json.loads(schedules.stdout)
    assert not schedule["active"], "shipped switched off"
    server.command("deployment", "schedule", "resume", "distill/quickstart", schedule["id"])
    server.command("automation", "delete", "potstill-resume-crashed-runs")
    server.command("work-pool", "update", "teacher-gpu", "--description", "somebody was here")
    server.command("deployment", "delete", "report/cpu")

    found = server.set_up("--check")
    made = server.set_up()

    assert "work pool teacher-gpu: description is 'somebody was here', wanted 'Engines" in found
    assert "deployment report/cpu: is missing" in found
    assert "automation potstill-resume-crashed-runs: is missing" in found
    assert "3 changes made" in made
    assert "as this version sets it up" in server.set_up("--check")
    assert "nothing to do" in server.set_up()
    schedules = server.command("deployment", "schedule", "ls", "distill/quickstart", "--output", "json")
    assert [schedule["active"] for schedule in json.loads(schedules.stdout)] == [True]


def test_a_schedule_that_is_switched_on_schedules_runs(server: PrefectServer) -> None:
    before = len(server.flow_runs("SCHEDULED"))
    server.command("deployment", "schedule", "create", "distill/quickstart", "--interval", "3600")

    try:
        until(lambda: len(server.flow_runs("SCHEDULED")) > before, "a scheduled run", 60)
    finally:  # or a worker of another test would do it
        server.command("deployment", "schedule", "clear", "distill/quickstart", "--accept-yes")
        assert server.flow_runs("SCHEDULED") == []
