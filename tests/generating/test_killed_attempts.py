"""What killed and stopped runs of the generations stage cost is in the record: the answers of the open shard, not one more."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.core.artifact import Artifact, artifact_key, read_record
from tasks.core.attempts import INTERRUPTIONS, Attempt, Interruptions
from tasks.core.process import STOPPED
from tasks.core.storage import open_store
from tasks.generating.partition import PartitionJob
from tasks.generating.settings import GenerationsSettings
from tasks.generating.spans import Span
from tasks.generations import STAGE, answer_partition, generate, plan_partitions
from tests.core.ledgers import logged_keys
from tests.endpoints import Act, Call, ScriptedEndpoint, run_scripted_endpoint
from tests.faulty_runs import prompts_in, scripted_teacher
from tests.teaching import settings
from tests.waiting import until

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
ROWS, SHARD_ROWS = 60, 16
RUN = """
import sys
from tasks.core.artifact import Artifact
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
prompts, teacher = (Artifact.model_validate_json(text) for text in sys.argv[3:])
generate.fn(settings=GenerationsSettings.model_validate_json(sys.argv[1]), store=sys.argv[2], prompts=prompts, teacher=teacher)
"""


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def work(tmp_path: Path, endpoint: ScriptedEndpoint) -> dict[str, Any]:
    """The arguments of the stage: sixty prompts, and shards that are committed when they are full and not before."""
    store = str(tmp_path / "store")
    runtime = {"shard_rows": SHARD_ROWS, "shard_seconds": 3600, "endpoint": {"max_concurrency": 4}}
    prompts, teacher = prompts_in(store, tmp_path, ROWS), scripted_teacher(store, endpoint)
    return {"settings": settings(runtime=runtime), "store": store, "prompts": prompts, "teacher": teacher}


def fall_silent_after(endpoint: ScriptedEndpoint, answers: int) -> None:
    """Let an endpoint answer so many more requests and no other."""
    last = len(endpoint.calls) + answers

    def act(_: Call) -> Act:
        return Act() if len(endpoint.calls) <= last else Act(seconds=600)

    endpoint.act = act


def await_silence(endpoint: ScriptedEndpoint, calls: int) -> None:
    """Wait until a run waits for the endpoint, and has had time to note how far it is."""
    until(lambda: len(endpoint.calls) > calls, "the last answer")
    time.sleep(1.5)


def interruptions_of(made: Artifact) -> Interruptions:
    return Interruptions.model_validate(read_record(made).summary[INTERRUPTIONS])


def partition(work: dict[str, Any], span: Span, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that answers a partition."""
    asked: GenerationsSettings = work["settings"]
    wanted = artifact_key("generations", STAGE.fingerprint(asked, {name: work[name] for name in ("prompts", "teacher")}))
    job = PartitionJob(**work, span=span, artifact=wanted, result=folder / "effort.json")
    (folder / "job.json").write_text(job.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.generating.partition", str(folder / "job.json")], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )


def test_a_kill_costs_the_answers_of_the_open_shard(work: dict[str, Any], endpoint: ScriptedEndpoint) -> None:
    fall_silent_after(endpoint, 40)
    texts = [
        work["settings"].model_dump_json(),
        work["store"],
        work["prompts"].model_dump_json(),
        work["teacher"].model_dump_json(),
    ]
    with subprocess.Popen([sys.executable, "-c", RUN, *texts], cwd=REPOSITORY) as process:
        await_silence(endpoint, 40)
        process.kill()
    assert len(logged_keys(work["store"])) == 2 * SHARD_ROWS
    endpoint.act = lambda call: Act()
    made = generate.fn(**work)

    assert (made.counts["rows"], made.counts["reused"]) == (ROWS, 2 * SHARD_ROWS)
    found = interruptions_of(made)
    assert (found.attempts, found.killed, found.interrupted) == (2, 1, 1)
    assert found.lost == {"rows": 40 - 2 * SHARD_ROWS}
    assert 1 < found.lost_seconds < found.seconds
    assert found.goodput == pytest.approx(1 - found.lost_seconds / found.seconds, abs=1e-3)
    assert not open_store(work["store"]).keys("attempts")


def test_a_run_that_nothing_disturbed_has_one_attempt_and_lost_nothing(work: dict[str, Any]) -> None:
    found = interruptions_of(generate.fn(**work))

    assert (found.attempts, found.interrupted, found.lost, found.lost_seconds, found.goodput) == (1, 0, {}, 0, 1)


def test_a_partition_that_was_told_to_stop_lost_nothing_and_a_killed_one_its_open_shard(
    work: dict[str, Any], endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    spans = plan_partitions.fn(**{**work, "settings": two_partitions(work["settings"])})
    for number, (span, end) in enumerate(zip(spans, (signal.SIGTERM, signal.SIGKILL), strict=True)):
        asked = len(endpoint.calls)
        fall_silent_after(endpoint, 20)
        folder = tmp_path / str(number)
        folder.mkdir()
        with partition(work, span, folder) as process:
            await_silence(endpoint, asked + 20)
            process.send_signal(end)
        assert process.returncode == (STOPPED if end == signal.SIGTERM else -signal.SIGKILL)
    assert len(logged_keys(work["store"])) == 20 + SHARD_ROWS
    store = open_store(work["store"])
    told = [Attempt.model_validate_json(store.read(key)) for key in store.keys("attempts")]
    assert [(attempt.units, attempt.durable_units) for attempt in told if attempt.ended == "preempted"] == [(20, 20)]

    endpoint.act = lambda call: Act()
    efforts = [answer_partition.fn(**work, span=span) for span in spans]
    made = generate.fn(**work, efforts=efforts)
    found = interruptions_of(made)
    assert (made.counts["rows"], found.attempts, found.killed, found.preempted, found.failed) == (ROWS, 5, 1, 1, 0)
    assert found.lost == {"rows": 20 - SHARD_ROWS}


def two_partitions(asked: GenerationsSettings) -> GenerationsSettings:
    return asked.model_copy(update={"runtime": asked.runtime.model_copy(update={"partitions": 2})})
