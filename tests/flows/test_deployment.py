"""The deployment as a user runs it: a server, ``prefect deploy``, a worker, a run, a schedule."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from flows.dispatch import run_deployed
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tasks.core.caching import find_finished
from tasks.core.errors import StageFailedError
from tasks.core.records import ANSWERED_PROMPTS
from tasks.core.tables import read_table
from tasks.generating.spans import Span
from tasks.generations import generate
from tests.flows.generating import committed_shards, descendants, finish, generation, wait_until
from tests.models import tiny_model
from tests.servers import closed_port
from tests.teaching import committed_keys, numbered, prepare, settings, teach

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))


class PrefectServer:
    """A Prefect server on loopback, and the command line that talks to it."""

    def __init__(self, home: Path) -> None:
        port = closed_port()
        self._api = f"http://127.0.0.1:{port}/api"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self._api,
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        }
        command = [PREFECT, "server", "start", "--port", str(port)]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env=self.environment, stdout=null, stderr=null)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a prefect command from the project's root."""
        return subprocess.run(
            [PREFECT, *arguments],
            check=False,  # some are expected to fail
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def flow_runs(self, *states: str, flow: str = "distill") -> list[dict[str, Any]]:
        """Return the runs of a flow in any of the states."""
        query = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": list(states)}}}}
        request = urllib.request.Request(
            f"{self._api}/flow_runs/filter", json.dumps(query).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    @contextmanager
    def worker(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a worker that looks for work every second, until the block ends."""
        command = [PREFECT, "worker", "start", "--pool", "potstill"]
        environment = {**self.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        null = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=null, stderr=null)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def wait_until_healthy(self) -> None:
        """Wait for the server to answer."""
        for _ in range(360):
            try:
                urllib.request.urlopen(f"{self._api}/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.5)
        raise TimeoutError("the Prefect server did not start")

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3_environment: object) -> Iterator[PrefectServer]:
    """A server with the work pool and the deployments of deployments/prefect.yaml."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect-server"))
    try:
        server.wait_until_healthy()
        created = server.command("work-pool", "create", "potstill", "--type", "process")
        assert created.returncode == 0, created.stderr
        deployed = server.command("--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")
        assert "distill/quickstart" in deployed.stdout, deployed.stdout + deployed.stderr
        yield server
    finally:
        server.stop()


def test_a_run_of_the_deployment_completes_on_a_process_worker(server: PrefectServer, recipe: Path, report: Artifact) -> None:
    config = load_recipe(recipe).model_dump_json()
    started = server.command("deployment", "run", "distill/quickstart", "-p", f"config={config}")
    assert started.returncode == 0, started.stderr
    server.command("worker", "start", "--pool", "potstill", "--run-once", "--prefetch-seconds", "60")

    assert [run["name"] for run in server.flow_runs("COMPLETED")] == ["tiny"]


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
    prompts, teacher = prepare(store, numbered(2000)), teach(store, tiny_model(tmp_path / "model"))
    runtime = {"partitions": 2, "partition_deployment": "generation-partition/teacher"}
    with (
        server.worker() as worker,
        generation(store, prompts, teacher, {"PREFECT_API_URL": server.environment["PREFECT_API_URL"]}, **runtime) as parent,
    ):
        wait_until(lambda: committed_shards(store) >= 10, parent)
        victim, *_ = descendants(worker.pid, "tasks.generating.partition")
        flow_run = victim.parent()
        assert flow_run is not None
        flow_run.kill()
        victim.wait(10)
        finish(parent)
    made = find_finished(generate, settings=settings(runtime=runtime), store=str(store), prompts=prompts, teacher=teacher)
    runs = server.flow_runs("COMPLETED", flow="generation-partition")

    assert made is not None
    assert [row["text"] for row in read_table(made, ANSWERED_PROMPTS)] == [row["prompt"] for row in numbered(2000)]
    assert sorted(run["run_count"] for run in runs) == [1, 2]
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 2000


def test_a_partition_that_no_worker_can_start_is_given_up(server: PrefectServer, tmp_path: Path) -> None:
    prompts = prepare(tmp_path / "store", numbered(1))
    values = {
        "settings": settings(),
        "store": prompts.store,
        "prompts": prompts,
        "teacher": prompts,
        "span": Span(),
        "report": "x",
    }
    with (
        temporary_settings({PREFECT_API_URL: server.environment["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(copy_context().run, run_deployed, "generation-partition/teacher", [values], 3)
        while not waiting.done():
            for run in server.flow_runs("SCHEDULED", flow="generation-partition"):
                client.set_flow_run_state(UUID(run["id"]), Crashed(), force=True)
            time.sleep(0.2)

        with pytest.raises(StageFailedError, match="generation-partition/teacher ended as Crashed after 3 attempts"):
            waiting.result()


def test_a_schedule_that_is_switched_on_schedules_runs(server: PrefectServer) -> None:
    assert server.flow_runs("SCHEDULED") == []
    server.command("deployment", "schedule", "create", "distill/quickstart", "--interval", "3600")
    for _ in range(60):
        if server.flow_runs("SCHEDULED"):
            break
        time.sleep(1)

    assert server.flow_runs("SCHEDULED")
