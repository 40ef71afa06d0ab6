"""Partitions give what one teacher gives, take up where they were stopped, and leave no process behind."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL

from flows.generation import generate_answers
from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS
from tasks.core.tables import read_table
from tasks.generations import SET_ASIDE_FILE, plan_partitions
from tasks.model import prepare_endpoint
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.endpoints import Act, ScriptedEndpoint, run_scripted_endpoint
from tests.flows.generating import committed_shards, descendants, generation, wait_until
from tests.flows.runs import task_runs
from tests.models import tiny_model
from tests.teaching import answer, committed_keys, numbered, prepare, settings, teach

pytestmark = pytest.mark.slow

WORKER = "tasks.generating.partition"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def arguments(store: Path, prompts: Artifact, teacher: Artifact, **runtime: Any) -> dict[str, Any]:
    return {"settings": settings(runtime=runtime), "store": str(store), "prompts": prompts, "teacher": teacher}


def generated(store: Path, prompts: Artifact, teacher: Artifact, **runtime: Any) -> Artifact:
    """Run the flow and return its artefact."""
    return generate_answers(settings=settings(runtime=runtime), store=str(store), prompts=prompts, teacher=teacher)


def test_partitions_give_the_rows_of_a_single_teacher(model: Path, tmp_path: Path, prefect_server: None) -> None:
    whole, parted = tmp_path / "whole" / "store", tmp_path / "parted" / "store"
    alone = answer(whole, prepare(whole, numbered(60)), teach(whole, model))
    prompts, teacher = prepare(parted, numbered(60)), teach(parted, model)
    state = generate_answers(**arguments(parted, prompts, teacher, partitions=3, partitions_at_once=2), return_state=True)
    made = state.result(raise_on_failure=True)
    effort = read_record(made).summary["effort"]

    assert list(read_table(made, ANSWERED_PROMPTS)) == list(read_table(alone, ANSWERED_PROMPTS))
    assert made.counts == alone.counts
    assert (effort["rows"], effort["engine_starts"]) == (60, 3)
    assert len(committed_keys(parted)) == len(set(committed_keys(parted))) == 60
    runs = task_runs(state, 5)
    assert len(runs) == 1 + 3 + 1, "planning, a task run for every partition, joining: none for a row or a shard"


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


def scripted_teacher(store: Path, endpoint: ScriptedEndpoint) -> Artifact:
    return prepare_endpoint.fn(settings=EndpointSettings(url=endpoint.url, model="teacher-1"), store=str(store))


def test_stopped_partitions_keep_their_rows_and_the_rest_is_divided_evenly(
    tmp_path: Path, prefect_server: None, endpoint: ScriptedEndpoint
) -> None:
    store = tmp_path / "store"
    endpoint.act = lambda call: Act(seconds=0.1)
    prompts, teacher = prepare(store, numbered(1000)), scripted_teacher(store, endpoint)
    environment = {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    runtime = {"partitions": 2, "partitions_at_once": 2, "endpoint": {"max_concurrency": 8}}
    with generation(store, prompts, teacher, environment, **runtime) as process:
        wait_until(lambda: committed_shards(store) >= 40, process)
        workers = descendants(process.pid, WORKER)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    kept = committed_keys(store)
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    assert 160 <= len(kept) < 1000

    spans = plan_partitions.fn(**arguments(store, prompts, teacher, partitions=5))
    asked = [row["id"] for row in read_table(prompts, PROMPTS) if row["split"] == "train"]
    endpoint.act = lambda call: Act()
    made = generated(store, prompts, teacher, **runtime)
    answered = {row["id"]: row["key"] for row in read_table(made, ANSWERED_PROMPTS)}
    missing = [identifier for identifier in asked if answered[identifier] not in set(kept)]
    shares = [sum(identifier in span for identifier in missing) for span in spans]

    assert sum(shares) == len(missing) == 1000 - len(kept)
    assert max(shares) - min(shares) <= 1
    assert (made.counts["rows"], made.counts["reused"], made.counts["generated"]) == (1000, len(kept), 1000 - len(kept))


def test_rows_that_partitions_asked_in_vain_are_set_aside_with_their_reason(
    tmp_path: Path, prefect_server: None, endpoint: ScriptedEndpoint
) -> None:
    store = tmp_path / "store"
    prompts = prepare(store, numbered(30))
    endpoint.act = lambda call: Act(400) if call.prompt in {"number 7", "number 19"} else Act()
    made = generated(store, prompts, scripted_teacher(store, endpoint), partitions=2, partitions_at_once=2)
    refused = {row["id"] for row in read_table(prompts, PROMPTS) if row["text"] in {"number 7", "number 19"}}
    set_aside = [json.loads(line) for line in open_file(made, SET_ASIDE_FILE).read_text().splitlines()]

    assert (made.counts["rows"], made.counts["refused"]) == (28, 2)
    assert {(row["id"], row["reason"]) for row in set_aside} == {(identifier, "refused") for identifier in refused}
