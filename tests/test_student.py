"""The student stage: another machine goes on where a lost one was, and what is published says how it was trained."""

import json
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

from tasks.core.artifact import Artifact, open_file, open_folder, read_record
from tasks.core.attempts import INTERRUPTIONS, Interruptions
from tasks.core.caching import Stage
from tasks.core.errors import PreemptedError, SettingsError
from tasks.core.records import EXAMPLES, LOGPROBS
from tasks.core.storage import Store, open_store
from tasks.core.weights import WEIGHTS
from tasks.dataset import DatasetSettings
from tasks.model import ModelSettings, prepare_model
from tasks.student import CURVE_FILE, METRICS_FILE, train
from tasks.training.launch import read_metrics
from tasks.training.settings import TrainingSettings
from tests.models import tiny_model
from tests.servers import S3Server
from tests.trainings import ROWS, are_equal, example, training_settings, with_candidates, write_examples
from tests.waiting import until

REPOSITORY = Path(__file__).parents[1]
SETTINGS = training_settings(method="topk_kd", epochs=25)  # 200 steps
PARENT = """
import json, sys
from pathlib import Path
from tasks.core.artifact import Artifact
from tasks.student import train
from tasks.training.settings import TrainingSettings
job = json.loads(Path(sys.argv[1]).read_text())
dataset, start = (Artifact.model_validate(job[name]) for name in ("dataset", "start"))
train.fn(settings=TrainingSettings.model_validate(job["settings"]), store=job["store"], dataset=dataset, start=start)
"""


def inputs_of(store: str, folder: Path, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    """Return the arguments of the stage: a dataset with a row that is too long, and the model that is trained."""
    folder.mkdir(exist_ok=True)
    start = prepare_model.fn(settings=ModelSettings(source=str(tiny_model(folder / "model"))), store=store)
    rows = [with_candidates(example(number)) for number in range(ROWS)]
    with Stage("dataset", version=1).draft(store, DatasetSettings(), start=start) as draft:
        write_examples(draft.path / EXAMPLES.file, rows)
        draft.summary = {LOGPROBS: logprobs}
        return {"settings": SETTINGS, "store": store, "dataset": draft.publish(), "start": start}


def weights_of(student: Artifact) -> dict[str, Any]:
    return load_file(open_folder(student, WEIGHTS) / "model.safetensors")


def mirrored_step(store: Store) -> int:
    """Return the step of the newest checkpoint in the store; 0 if there is none."""
    names = [key.rpartition("/")[2] for key in store.keys("checkpoints")]
    return max((int(name[11:-5]) for name in names if name.startswith("checkpoint-")), default=0)


def worker_of_this_process(inside: Path) -> psutil.Process | None:
    """Return the training process whose workspace is in a folder."""
    for child in psutil.Process().children(recursive=True):
        if child.status() != psutil.STATUS_ZOMBIE and any(part.startswith(str(inside)) for part in child.cmdline()):
            return child
    return None


@pytest.fixture
def machines(s3_environment: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Move to another machine: it has the store, and nothing else of what the last one had."""

    def move_to(name: str) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        return tmp_path / name

    yield move_to


def store_on(server: S3Server) -> str:
    return f"s3://{server.bucket}/{uuid.uuid4().hex}"


@pytest.mark.slow
def test_another_machine_goes_on_where_the_lost_one_was_and_publishes_the_same_student(
    s3_environment: S3Server, machines: Any, tmp_path: Path
) -> None:
    here = machines("first")
    logprobs = {"top_k": 4, "draws": None}
    other = inputs_of(store_on(s3_environment), tmp_path / "other", logprobs)
    inputs = inputs_of(store_on(s3_environment), tmp_path / "one", logprobs)
    store = open_store(inputs["store"])
    with ThreadPoolExecutor(2) as pool:
        reference: Future[Artifact] = pool.submit(train.fn, **other)
        until(lambda: worker_of_this_process(here), "the undisturbed training")  # its folder is that of the first machine

        here = machines("lost")
        kill_while_it_trains(inputs, tmp_path, store, here)
        shutil.rmtree(here)
        lost_at = mirrored_step(store)

        here = machines("second")
        stopped = pool.submit(train.fn, **inputs)
        until(lambda: mirrored_step(store) >= lost_at + 10 or stopped.done(), "ten more steps")
        worker = worker_of_this_process(here)
        assert worker is not None
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(PreemptedError):
            stopped.result(timeout=60)
        (metrics,) = here.rglob(METRICS_FILE)
        rows = read_metrics(metrics)
        assert rows[0]["step"] >= lost_at - 2
        assert mirrored_step(store) == rows[-1]["step"], "the last checkpoint was copied too"
        shutil.rmtree(here)

        machines("third")
        student = train.fn(**inputs)
        undisturbed = reference.result()

    third = read_metrics(open_file(student, METRICS_FILE))
    assert third[0]["step"] == rows[-1]["step"] > lost_at
    assert third[-1]["step"] == student.counts["steps"] == 200
    assert are_equal(weights_of(student), weights_of(undisturbed))
    assert not store.keys("checkpoints"), "what is published needs no checkpoints"
    assert_record_tells_all(student)
    interruptions = read_record(student).summary[INTERRUPTIONS]
    assert [interruptions[end] for end in ("attempts", "killed", "preempted", "failed")] == [3, 1, 1, 0]
    assert not store.keys("attempts")


@pytest.mark.slow
def test_the_record_says_how_many_steps_a_kill_cost(tmp_path: Path) -> None:
    settings = training_settings(method="topk_kd", epochs=25, runtime={"checkpoint_steps": 80})
    inputs = {**inputs_of(str(tmp_path / "store"), tmp_path, {"top_k": 4, "draws": None}), "settings": settings}
    with start_training(inputs, tmp_path) as parent:
        until(lambda: list(tmp_path.rglob("checkpoint-80/manifest.json")), "a checkpoint")
        (metrics,) = tmp_path.rglob(METRICS_FILE)
        until(lambda: read_metrics(metrics)[-1]["step"] >= 90, "ten more steps")
        (worker,) = psutil.Process(parent.pid).children()
        worker.suspend()  # what it has done by now is what the kill takes away
        time.sleep(2)
        parent.kill()
        worker.kill()
    reached = read_metrics(metrics)[-1]["step"]
    assert reached < 160, "before the next checkpoint"

    student = train.fn(**inputs)
    found = Interruptions.model_validate(read_record(student).summary[INTERRUPTIONS])
    assert read_metrics(open_file(student, METRICS_FILE))[-1]["step"] == student.counts["steps"] == 200
    assert (found.attempts, found.killed, found.interrupted) == (2, 1, 1)
    assert found.lost == {"steps": reached - 80}
    assert 1.5 < found.lost_seconds < found.seconds - 1
    assert found.goodput == pytest.approx(1 - found.lost_seconds / found.seconds, abs=1e-3)
    assert not open_store(inputs["store"]).keys("attempts")


def start_training(inputs: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """Start the stage in a process of its own."""
    job = folder / "job.json"
    job.write_text(
        json.dumps({name: value if name == "store" else value.model_dump(mode="json") for name, value in inputs.items()})
    )
    return subprocess.Popen([sys.executable, "-c", PARENT, str(job)], cwd=REPOSITORY)


def kill_while_it_trains(inputs: dict[str, Any], folder: Path, store: Store, here: Path) -> None:
    """Start the stage in a process of its own and kill that once it has copied a checkpoint."""
    with start_training(inputs, folder) as parent:
        until(lambda: mirrored_step(store) >= 10 or parent.poll() is not None, "the copy of a checkpoint")
        (worker,) = psutil.Process(parent.pid).children()
        parent.kill()
    worker.wait(10)
    assert mirrored_step(store) >= 10


def assert_record_tells_all(student: Artifact) -> None:
    record = read_record(student)
    found = record.summary
    assert found["rows"] == {"train": 32, "validation": 8}
    assert found["tokens"]["train"] > found["answer_tokens"]["train"] > 32
    assert (found["set_aside"], found["truncated_rows"]) == ({}, 0)
    assert (found["device"], found["processes"], found["sharding"]) == ("cpu", 1, "none")
    assert (found["matrix_products"], found["weights"], found["optimizer"]) == ("float32", "float32", "adamw_torch_fused")
    assert found["tokens_per_second"] > 0
    assert found["peak_memory_bytes"] > 100 << 20
    assert 0 < found["best_eval_loss"] <= found["eval_loss"]
    names = {entry.path.partition("/")[2] for entry in record.files}
    assert {METRICS_FILE, CURVE_FILE, f"{WEIGHTS}/model.safetensors", f"{WEIGHTS}/tokenizer.json"} <= names
    assert open_file(student, CURVE_FILE).read_text().lstrip().startswith(("<?xml", "<svg"))


@pytest.mark.parametrize(
    ("method", "stored", "remedy"),
    [
        ("topk_kd", None, r"logprobs: \{top_k: 16\}, without draws"),
        ("topk_kd", {"top_k": 64, "draws": 12}, r"logprobs: \{top_k: 16\}, without draws"),
        ("sampled_kd", {"top_k": 16, "draws": None}, r"logprobs: \{top_k: 64, draws: 12\}"),
    ],
)
def test_a_dataset_without_the_candidates_of_the_method_is_refused_before_anything_runs(
    tmp_path: Path, method: Any, stored: dict[str, Any] | None, remedy: str
) -> None:
    inputs = inputs_of(str(tmp_path / "store"), tmp_path, stored)
    settings = TrainingSettings.model_validate({**SETTINGS.model_dump(), "method": method})
    with pytest.raises(SettingsError, match=f"{method} was asked for and the dataset's log-probabilities are .*{remedy}"):
        train.fn(**{**inputs, "settings": settings})
    assert not (tmp_path / "store" / "student").exists()
    assert not list(tmp_path.rglob("worker.log"))
