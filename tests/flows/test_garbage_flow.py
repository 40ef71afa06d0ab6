"""The garbage collection as a flow and as a command."""

import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.states import Completed, Running

from flows.garbage import collect_garbage
from tasks.core.artifact import find_artifact
from tasks.core.garbage.collection import Collection
from tasks.core.storage import open_store
from tasks.garbage import GarbageSettings
from tests.core.garbage.stores import lineage, make, opens

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@flow(name="somebody-at-work")
def work(store: str) -> None:
    """Stands for any flow that works on a store."""


def delete_all(store: str) -> Collection:
    """Drop whatever is garbage, however young."""
    time.sleep(0.05)
    return collect_garbage(GarbageSettings(store=store, dry_run=False, min_age_days=0, unfinished_days=0))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.garbage", *arguments], check=False, capture_output=True, text=True, cwd=ROOT, timeout=300
    )


def start_run(store: str) -> UUID:
    """Begin a flow run, as its server sees it."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run(work, parameters={"settings": {"store": store}}, state=Running()).id


def end_run(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Completed(), force=True)


@pytest.mark.usefixtures("prefect_server")
def test_a_dry_run_is_the_default_and_leaves_a_table(tmp_path: Path) -> None:
    unneeded = make(str(tmp_path), "prompts")
    time.sleep(0.05)
    collection = collect_garbage(GarbageSettings(store=str(tmp_path), min_age_days=0))
    assert collection.dry_run
    assert [(heap.what, heap.names, heap.dropped) for heap in collection.heaps] == [("artefact", (unneeded.key,), 0)]
    opens(unneeded)
    with get_client(sync_client=True) as client:
        tables = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["garbage"])))
    assert any(unneeded.key in str(table.data) and "a dry run" in str(table.description) for table in tables)


@pytest.mark.usefixtures("prefect_server")
def test_nothing_is_dropped_that_a_run_on_the_same_store_may_use(tmp_path: Path) -> None:
    store, elsewhere = str(tmp_path / "store"), str(tmp_path / "elsewhere")
    unneeded, other = make(store, "prompts"), make(elsewhere, "prompts")
    run = start_run(store)
    held = delete_all(store)
    assert [heap.dropped for heap in held.heaps] == [0]
    assert str(run) in held.held_back[0]
    assert [heap.dropped for heap in delete_all(elsewhere).heaps] == [1]
    assert find_artifact(elsewhere, "prompts", other.fingerprint) is None
    opens(unneeded)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_has_ended_holds_nothing_back_but_for_a_minute(tmp_path: Path) -> None:
    make(str(tmp_path), "prompts")
    run = start_run(str(tmp_path))
    end_run(run)
    held = delete_all(str(tmp_path))
    assert [heap.dropped for heap in held.heaps] == [0]
    with get_client(sync_client=True) as client:
        client.delete_flow_run(run)
    assert [heap.dropped for heap in delete_all(str(tmp_path)).heaps] == [1]


def test_the_command_lists_and_deletes_only_when_told_to(tmp_path: Path) -> None:
    _, _, report = lineage(str(tmp_path))
    unneeded = make(str(tmp_path), "prompts", "given up")
    listed = command(str(tmp_path), "--min-age-days", "0")
    assert listed.returncode == 0, listed.stderr
    assert unneeded.key in listed.stdout
    assert listed.stdout.splitlines()[-1].endswith("a dry run: nothing was dropped")
    opens(unneeded)
    deleted = command(str(tmp_path), "--min-age-days", "0", "--delete")
    assert deleted.stdout.splitlines()[-1].endswith("1 pieces were dropped"), deleted.stderr
    assert open_store(str(tmp_path)).keys(unneeded.key) == []
    opens(report)


def test_the_command_refuses_a_bad_setting_and_an_odd_store(tmp_path: Path) -> None:
    negative = command(str(tmp_path), "--min-age-days", "-1")
    assert negative.returncode == 1
    assert "min_age_days: Input should be greater than or equal to 0, got -1.0" in negative.stderr
    odd = command("ftp://somewhere/else")
    assert odd.returncode == 1
    assert "neither a local folder nor s3://bucket/prefix" in odd.stderr


def test_help_answers_without_loading_prefect() -> None:
    code = "import runpy, sys; sys.argv = ['garbage', '--help']; runpy.run_module('flows.garbage', run_name='__main__')"
    wrapped = f"import atexit, sys; atexit.register(lambda: print('prefect' in sys.modules)); {code}"
    shown = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ)
    assert "--delete" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "False"
