"""The deployment as a user runs it: a server, ``prefect deploy``, a worker, a run, a schedule."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tests.servers import closed_port

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

    def flow_runs(self, *states: str) -> list[dict[str, Any]]:
        """Return the runs of the flow ``distill`` in any of the states."""
        query = {"flows": {"name": {"any_": ["distill"]}}, "flow_runs": {"state": {"type": {"any_": list(states)}}}}
        request = urllib.request.Request(
            f"{self._api}/flow_runs/filter", json.dumps(query).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

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


def test_a_schedule_that_is_switched_on_schedules_runs(server: PrefectServer) -> None:
    assert server.flow_runs("SCHEDULED") == []
    server.command("deployment", "schedule", "create", "distill/quickstart", "--interval", "3600")
    for _ in range(60):
        if server.flow_runs("SCHEDULED"):
            break
        time.sleep(1)

    assert server.flow_runs("SCHEDULED")
