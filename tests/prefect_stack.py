"""A Prefect server with everything that ``python -m deployments.setup`` makes, and workers for it: as an operator runs them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from prefect.client.schemas.objects import FlowRun
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.servers import closed_port
from tests.waiting import until

ROOT = Path(__file__).parents[1]
PREFECT = str(Path(sys.executable).with_name("prefect"))


class PrefectServer:
    """A Prefect server on loopback, and the command line that talks to it.

    Args:
        home: Folder of its database.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._port = closed_port()
        self.api = f"http://127.0.0.1:{self._port}/api"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        }
        self._start()

    def _start(self) -> None:
        command = [PREFECT, "server", "start", "--port", str(self._port)]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env=self.environment, stdout=null, stderr=null)

    def set_up(self, *options: str) -> str:
        """Run ``python -m deployments.setup``, which waits for the server, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "deployments.setup", *options],
            check=False,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == (1 if "--check" in options and "differences" in done.stdout else 0), done.stdout + done.stderr
        return done.stdout

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
        """Return the runs of a flow in any of the states, or in whatever state."""
        query: dict[str, Any] = {"flows": {"name": {"any_": [flow]}}}
        if states:
            query["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        return json.loads(self._ask("flow_runs/filter", query))

    def schedule(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Have the scheduler start a run of a deployment within some seconds, as a nightly schedule does; return the run's id."""
        before = {run["id"] for run in self.flow_runs(flow=deployment.partition("/")[0])}
        found = json.loads(self.command("deployment", "inspect", deployment, "--output", "json").stdout)
        moment = datetime.now(UTC) + timedelta(seconds=8)
        rule = {"interval": 10 * 365 * 86400, "anchor_date": moment.isoformat(), "timezone": "UTC"}
        body = [{"schedule": rule, "active": True, "parameters": parameters, "slug": f"test-{moment.timestamp():.0f}"}]
        self._ask(f"deployments/{found['id']}/schedules", body)

        def new() -> str | None:
            runs = self.flow_runs(flow=deployment.partition("/")[0])
            return next((run["id"] for run in runs if run["id"] not in before and run["auto_scheduled"]), None)

        return until(new, "the scheduled run", 60)

    def state_names(self, run: str) -> list[str]:
        """Return the names of all states that a flow run has been in, in their order."""
        states = json.loads(self._ask(f"flow_run_states/?flow_run_id={run}"))
        return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]

    @contextmanager
    def client_settings(self) -> Iterator[None]:
        """Have flows of this process, and of processes started by it, talk to this server until the block ends."""
        before = os.environ.get("PREFECT_API_URL")
        os.environ["PREFECT_API_URL"] = self.api
        # Prefect keeps one sender of events and one of logs a process: they would go on telling the server they began with.
        EventsWorker.drain_all(timeout=60)
        try:
            with temporary_settings({PREFECT_API_URL: self.api}):
                yield
        finally:
            EventsWorker.drain_all(timeout=60)
            os.environ.pop("PREFECT_API_URL") if before is None else os.environ.update(PREFECT_API_URL=before)

    def read(self, run: str | UUID) -> FlowRun:
        """Return a flow run."""
        return FlowRun.model_validate_json(self._ask(f"flow_runs/{run}"))

    @contextmanager
    def worker(self, pool: str, *options: str, log: Path | None = None) -> Iterator["Worker"]:
        """Run a worker that looks for work every two seconds, until the block ends."""
        command = [sys.executable, "-m", "deployments.worker", "--pool", pool, *options]
        environment = {**self.environment, "PREFECT_WORKER_QUERY_SECONDS": "2"}
        with (log or self.home / f"worker-{pool}.log").open("ab") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        worker = Worker(process)
        try:
            yield worker
        finally:
            worker.kill()

    def kill(self) -> None:
        """End the server at once; its database stays."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start the server again on the same database, and wait for it."""
        self._start()
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Wait for the server to answer."""

        def answers() -> bool:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.api}/health", timeout=2).close()
                return True
            return False

        until(answers, "the Prefect server", 180)

    def _ask(self, path: str, body: Any = None) -> bytes:
        """Return the server's answer; workers, runs and a database on a small machine may keep it busy for a while."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api}/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.read()

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(30)


class Worker:
    """``python -m deployments.worker`` as a process, with all that it started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    @property
    def family(self) -> list[psutil.Process]:
        """Every process of this worker's machine: Prefect's worker, flow runs, trainings, engines."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def running(self, module: str) -> psutil.Process | None:
        """Return the process below this worker whose command line has a word of a text, or None."""
        for each in self.family:
            with suppress(psutil.NoSuchProcess):
                if any(module in word for word in each.cmdline()):
                    return each
        return None

    def kill(self) -> None:
        """End the machine: the worker and all that it started, at once."""
        for each in [psutil.Process(self.process.pid), *self.family] if self.process.poll() is None else []:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Tell the worker to stop, as a spot notice does."""
        self.process.send_signal(signal.SIGTERM)
