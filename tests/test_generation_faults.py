"""Faults of stores and machines while a teacher answers: a clear error, nothing that was paid for is lost or asked again."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tasks.core.artifact import Artifact
from tasks.core.errors import DamagedArtifactError, PotstillError, StoreUnreachableError
from tasks.core.process import STOPPED
from tasks.core.storage import open_store
from tasks.generating.partition import PartitionJob
from tasks.generating.spans import Span
from tasks.generations import generate
from tests.core.ledgers import logged_keys, objects
from tests.endpoints import Act, ScriptedEndpoint, answer, run_scripted_endpoint
from tests.faulty_runs import Run, prompts_in, scripted_teacher, small_disk
from tests.models import tiny_model
from tests.relay import Relay
from tests.servers import S3Server, closed_port
from tests.teaching import settings, teach

pytestmark = pytest.mark.slow

ROWS = 160
QUICK = {"shard_rows": 4, "endpoint": {"max_concurrency": 8}}
SECONDS_UNTIL_UNREACHABLE = 60
GRACE_SECONDS = 30


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    """A teacher that takes a while for each answer and counts what it is asked."""
    with run_scripted_endpoint() as endpoint:
        endpoint.act = lambda call: Act(seconds=0.1)
        yield endpoint


@pytest.fixture
def s3_store(s3_environment: S3Server) -> str:
    """The URL of an empty store on S3."""
    return f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}"


def test_two_runs_at_once_share_the_work_of_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store = str(tmp_path / "store")
    prompts, teacher = prompts_in(store, tmp_path, ROWS), teach(Path(store), tiny_model(tmp_path / "model"))
    first, second = (run.outcome() for run in [Run(settings(), store, prompts, teacher) for _ in range(2)])

    assert isinstance(first, Artifact) and first == second
    assert first.counts["rows"] == len(set(logged_keys(store))) == len(logged_keys(store)) == ROWS


def test_two_runs_at_once_on_s3(s3_store: str, tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    prompts, teacher = prompts_in(s3_store, tmp_path, ROWS), scripted_teacher(s3_store, endpoint)
    runs = [Run(settings(runtime=QUICK), s3_store, prompts, teacher) for _ in range(2)]
    first, second = (run.outcome() for run in runs)

    assert isinstance(first, Artifact) and first == second
    assert first.counts["rows"] == len(set(logged_keys(s3_store))) == len(logged_keys(s3_store)) == ROWS


def test_answers_wait_while_s3_is_silent(
    s3_environment: S3Server, s3_store: str, tmp_path: Path, endpoint: ScriptedEndpoint
) -> None:
    prompts, teacher = prompts_in(s3_store, tmp_path, ROWS), scripted_teacher(s3_store, endpoint)
    run = Run(settings(runtime=QUICK), s3_store, prompts, teacher)
    _wait_for_shards(s3_store, run, 3)
    os.kill(s3_environment.pid, signal.SIGSTOP)
    try:
        _require_spilled(run.outcome(SECONDS_UNTIL_UNREACHABLE))
    finally:
        os.kill(s3_environment.pid, signal.SIGCONT)
    _require_finished_without_asking_twice(s3_store, prompts, teacher, endpoint)


def test_answers_wait_while_s3_refuses_connections(
    s3_environment: S3Server, s3_store: str, tmp_path: Path, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, teacher = prompts_in(s3_store, tmp_path, ROWS), scripted_teacher(s3_store, endpoint)
    relay = Relay(urlsplit(s3_environment.endpoint).port or 0)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{relay.port}")
        run = Run(settings(runtime=QUICK), s3_store, prompts, teacher)
        _wait_for_shards(s3_store, run, 3)
        relay.cut()
        _require_spilled(run.outcome(SECONDS_UNTIL_UNREACHABLE))
    _require_finished_without_asking_twice(s3_store, prompts, teacher, endpoint)


def test_nothing_is_asked_if_s3_refuses_connections_from_the_start(
    s3_store: str, tmp_path: Path, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, teacher = prompts_in(s3_store, tmp_path, ROWS), scripted_teacher(s3_store, endpoint)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{closed_port()}")
        outcome = Run(settings(runtime=QUICK), s3_store, prompts, teacher).outcome(SECONDS_UNTIL_UNREACHABLE)

    assert isinstance(outcome, StoreUnreachableError)
    assert "check its address" in str(outcome)
    assert endpoint.calls == []


def test_a_full_disk_loses_nothing_that_was_committed(tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    """Answers become longer and longer until the disk takes no further shard."""
    endpoint.act = lambda call: Act(body=answer(secrets.token_hex(500 * len(endpoint.calls)), call.path))
    with small_disk(tmp_path / "disk") as disk:
        store = str(disk.folder / "store")
        prompts, teacher = prompts_in(store, tmp_path, ROWS), scripted_teacher(store, endpoint)
        full = Run(settings(runtime=QUICK), store, prompts, teacher, disk.file_bytes).outcome()
        kept, asked = logged_keys(store), len(endpoint.calls)
        disk.grow()
        made = Run(settings(runtime=QUICK), store, prompts, teacher, disk.file_bytes).outcome()

        assert isinstance(full, StoreUnreachableError)
        assert "disk space" in str(full)
        assert 0 < len(kept) < asked
        assert isinstance(made, Artifact)
        assert made.counts == {**made.counts, "rows": ROWS, "reused": len(kept), "generated": ROWS - len(kept)}
        assert set(kept) < set(logged_keys(store))
        assert len(logged_keys(store)) == len(set(logged_keys(store))) == ROWS


def test_only_the_rows_of_a_damaged_shard_are_asked_again(tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    store = str(tmp_path / "store")
    endpoint.act = lambda call: Act()
    prompts, teacher = prompts_in(store, tmp_path, 40), scripted_teacher(store, endpoint)
    arguments = {"store": store, "prompts": prompts, "teacher": teacher}
    generate.fn(settings=settings(runtime=QUICK), **arguments)
    entry = json.loads(open_store(store).read(objects(store, "log")[3]))
    shard = Path(store) / entry["shard"]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4] = b"\0\1\2\3"
    shard.write_bytes(content)
    endpoint.calls.clear()
    # The rows do not depend on this limit and the artefact does, so it is made anew of the same rows.
    again = settings(runtime=QUICK, sampling={"max_prompt_tokens": 59})
    with pytest.raises(DamagedArtifactError, match=r"the 4 rows .* run again and they are generated anew"):
        generate.fn(settings=again, **arguments)
    assert endpoint.calls == []
    made = generate.fn(settings=again, **arguments)

    assert len(entry["keys"]) == len(endpoint.calls) == made.counts["generated"] == 4
    assert made.counts["rows"] == len(set(logged_keys(store))) == 40


def test_a_run_that_is_told_to_stop_commits_the_open_shard(tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    store = str(tmp_path / "store")
    prompts, teacher = prompts_in(store, tmp_path, 2000), scripted_teacher(store, endpoint)
    open_shard = {**QUICK, "shard_rows": 100_000, "shard_seconds": 3600}
    job = PartitionJob(
        settings=settings(runtime=open_shard),
        store=store,
        prompts=prompts,
        teacher=teacher,
        span=Span(),
        result=tmp_path / "effort.json",
    )
    (tmp_path / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, "-m", "tasks.generating.partition", str(tmp_path / "job.json")]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    while len(endpoint.calls) < 40:
        assert process.poll() is None
        time.sleep(0.02)
    assert not (tmp_path / "store" / "ledger").exists(), "nothing is committed yet"
    process.terminate()

    assert process.wait(GRACE_SECONDS) == STOPPED
    assert len(logged_keys(store)) == len(set(logged_keys(store))) == len(endpoint.calls) < 2000


def _wait_for_shards(store: str, run: Run, shards: int) -> None:
    deadline = time.monotonic() + 60
    while len(objects(store, "log")) < shards:
        assert not run.has_ended, run.outcome()
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.05)


def _require_spilled(outcome: Artifact | PotstillError) -> None:
    assert isinstance(outcome, StoreUnreachableError)
    folder = Path(str(outcome).rpartition(" wait in ")[2].partition(" ")[0])
    assert list(folder.glob("*.parquet")), outcome


def _require_finished_without_asking_twice(store: str, prompts: Artifact, teacher: Artifact, endpoint: ScriptedEndpoint) -> None:
    """Run again and see that what was asked before was not asked again."""
    asked = len(endpoint.calls)
    assert 0 < asked < ROWS
    made = Run(settings(runtime=QUICK), store, prompts, teacher).outcome()
    assert isinstance(made, Artifact), made
    assert made.counts == {**made.counts, "rows": ROWS, "reused": asked, "generated": ROWS - asked}
    assert len(endpoint.calls) == len({call.prompt for call in endpoint.calls}) == ROWS
    assert len(logged_keys(store)) == len(set(logged_keys(store))) == ROWS
