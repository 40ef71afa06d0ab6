"""Whole distillations over three work pools while processes and machines are killed at random: the same artefacts come out.

``make chaos N=200`` makes it as many kills as wanted, ``SEED=1`` others. Prefect's server and workers, vLLM, TRL and the S3
server are real ones.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.recipe import load_recipe
from flows.verdict import STATE_NAMES
from tasks.core.artifact import Artifact, artifact_by_fingerprint, find_artifact, open_file, open_folder, read_record
from tasks.core.records import ANSWERED_PROMPTS, EXAMPLES, PREDICTIONS
from tasks.core.storage import open_store
from tasks.core.tables import read_table
from tasks.core.weights import WEIGHTS
from tasks.report import read_report
from tests.prefect_stack import ROOT, PrefectServer, Worker
from tests.recipes import tiny_recipe
from tests.servers import S3Server
from tests.teaching import committed_keys
from tests.waiting import are_gone, until

KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
POOLS = {"cpu": "4", "teacher-gpu": "2", "student-gpu": "1"}
PARTS = [ROOT / "deployments" / "recipes" / "placement" / name for name in ("pools.yaml", "partitions.yaml")]
CHANGES = [
    "generations.runtime.partitions=2",
    "student.training.epochs=60",
    "student.training.learning_rate=0.001",
    "recovery.first_wait_seconds=1",
    "recovery.longest_wait_seconds=5",
    "recovery.max_preemptions=1000",
    "recovery.max_errors=1000",
    "generations.runtime.recovery={first_wait_seconds: 1, longest_wait_seconds: 5, max_preemptions: 1000, max_errors: 1000}",
]
VERDICTS = set(STATE_NAMES.values())
LONGEST_PAUSE_SECONDS = 12.0
LONGEST_RUN_SECONDS = 1800


class Machines:
    """A machine for each pool, which comes back when it is lost."""

    def __init__(self, server: PrefectServer) -> None:
        self._server, self._stack = server, ExitStack()
        self.workers: dict[str, Worker] = {}

    def keep_up(self) -> None:
        """Start the machines that are not there."""
        for pool, limit in POOLS.items():
            if pool not in self.workers or self.workers[pool].process.poll() is not None:
                self.workers[pool] = self._stack.enter_context(self._server.worker(pool, "--limit", limit))

    def processes(self, run: str) -> dict[str, list[psutil.Process]]:
        """Return the processes at work by what they do; ``run`` is the flow run of the whole distillation."""
        found: dict[str, list[psutil.Process]] = {}
        for worker in self.workers.values():
            for each in worker.family:
                with suppress(psutil.Error):
                    found.setdefault(_kind(each, run), []).append(each)
        found.pop("worker", None)
        return found

    def close(self) -> None:
        """End them all."""
        self._stack.close()


def _kind(process: psutil.Process, run: str) -> str:
    words, environment = " ".join(process.cmdline()), process.environ()
    if "PREFECT__FLOW_RUN_ID" not in environment:
        return "worker"
    if "tasks.training.worker" in words:
        return "training"
    if "tasks.generating.partition" in words:
        return "partition"
    if "prefect.engine" in words:
        return "run" if environment["PREFECT__FLOW_RUN_ID"] == run else "stage"
    return "engine"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3_environment: S3Server) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect-server"))
    try:
        server.set_up()
        yield server
    finally:
        server.stop()


@contextmanager
def machines_for(server: PrefectServer) -> Iterator[Machines]:
    machines = Machines(server)
    try:
        machines.keep_up()
        yield machines
    finally:
        machines.close()


def start(server: PrefectServer, recipe: Path, store: str) -> str:
    """Start a run of the recipe in a store of its own and return its id."""
    config = load_recipe([recipe, *PARTS], [*CHANGES, f"store={store}"]).model_dump_json()
    before = {run["id"] for run in server.flow_runs()}
    started = server.command("deployment", "run", "distill/quickstart-on-pools", "-p", f"config={config}")
    assert started.returncode == 0, started.stderr
    (new,) = {run["id"] for run in server.flow_runs()} - before
    return new


def state_of(server: PrefectServer, run: str) -> str:
    return server.read(run).state_name or ""


def disturb(chance: random.Random, machines: Machines, run: str) -> str | None:
    """Kill something that is at work and return what it was; None if nothing is."""
    processes = machines.processes(run)
    if not processes:
        return None
    kinds = [*sorted(processes)] * 3 + ["machine", "notice"]
    kind = chance.choice(kinds)
    if kind in processes:
        with suppress(psutil.NoSuchProcess):
            chance.choice(processes[kind]).kill()
        return kind
    worker = chance.choice([worker for worker in machines.workers.values() if worker.process.poll() is None])
    family = worker.family
    if kind == "machine":
        worker.kill()
    else:
        worker.terminate()
        worker.process.wait(130)
    until(lambda: are_gone(family), f"the end of all that ran on the machine after a {kind}", 10)
    return kind


@pytest.mark.timeout(60 + KILLS * 240)
def test_disturbed_runs_end_with_the_artefacts_of_an_undisturbed_one(
    server: PrefectServer, s3_environment: S3Server, tmp_path: Path
) -> None:
    chance, kills, goodput, seconds = random.Random(SEED), Counter[str](), list[float](), list[float]()
    recipe, bucket = tiny_recipe(tmp_path), f"s3://{s3_environment.bucket}/chaos"
    with machines_for(server) as machines:
        began = time.monotonic()
        run = start(server, recipe, f"{bucket}/undisturbed")
        until(lambda: state_of(server, run) in VERDICTS, "the undisturbed run", LONGEST_RUN_SECONDS)
        undisturbed = report_of(f"{bucket}/undisturbed")
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)

        while kills.total() < KILLS:
            store, began = f"{bucket}/{len(seconds):03d}", time.monotonic()
            run = start(server, recipe, store)
            while (state := state_of(server, run)) not in VERDICTS:
                assert state not in {"Failed", "Cancelled"}, f"{state}: {server.read(run).state}"
                assert time.monotonic() - began < LONGEST_RUN_SECONDS, f"it does not end; {dict(kills)}"
                time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
                if kills.total() < KILLS and (killed := disturb(chance, machines, run)):
                    kills[killed] += 1
                machines.keep_up()
            seconds.append(time.monotonic() - began)
            made = report_of(store)
            goodput.append(goodput_of(made))
            print(f"run {len(seconds)}: {seconds[-1]:.0f} s, goodput {goodput[-1]:.2f}, kills so far {dict(kills)}", flush=True)
            require_the_same(made, undisturbed)
        until(lambda: not machines.processes(run), "the end of everything that was started", 60)


def report_of(store: str) -> Artifact:
    """Return the one report of a store."""
    (record,) = [key for key in open_store(store).keys("report") if key.endswith("record.json")]
    return artifact_by_fingerprint(store, "report", record.split("/")[1])


def require_the_same(made: Artifact, undisturbed: Artifact) -> None:
    """Compare what two runs made, row by row and weight by weight; nothing was answered twice or lost."""
    ours, theirs = lineage_of(made), lineage_of(undisturbed)
    assert {name: artifact.fingerprint for name, artifact in ours.items()} == {
        name: artifact.fingerprint for name, artifact in theirs.items()
    }
    reads: dict[str, Callable[[Artifact], Any]] = {
        "generations": lambda artifact: [
            (row["id"], row["text"], row["token_ids"]) for row in read_table(artifact, ANSWERED_PROMPTS)
        ],
        "dataset": lambda artifact: [(row["id"], row["completion"]) for row in read_table(artifact, EXAMPLES)],
        "student": lambda artifact: (open_folder(artifact, WEIGHTS) / "model.safetensors").read_bytes(),
        "student_evaluation": lambda artifact: [(row["id"], row["completion"]) for row in read_table(artifact, PREDICTIONS)],
    }
    for name, read in reads.items():
        assert read(ours[name]) == read(theirs[name]), name
    for artifact in ours.values():
        assert find_artifact(artifact.store, artifact.kind, artifact.fingerprint) == artifact
        for entry in read_record(artifact).files:
            open_file(artifact, entry.path.partition("/")[2])
    keys = [row["key"] for row in read_table(ours["generations"], ANSWERED_PROMPTS)]
    assert len(keys) == len(set(keys))
    assert sorted(committed_keys(made.store)) == sorted(keys), "every row was committed once"


def goodput_of(report: Artifact) -> float:
    in_all = read_report(report).interruptions.in_all
    assert in_all is not None
    assert in_all.goodput is not None
    return in_all.goodput


def lineage_of(report: Artifact) -> dict[str, Artifact]:
    return read_report(report).lineage.artifacts
