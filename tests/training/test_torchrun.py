"""Training by several processes: what one process trains, resumable whichever process ends, and with nobody left behind."""

import contextlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tasks.core.errors import PreemptedError, SettingsError, StageFailedError
from tasks.training.checkpoints.local import newest_checkpoint
from tasks.training.job import TrainingJob
from tasks.training.launch import read_metrics, run_training
from tests.servers import closed_port
from tests.trainings import (
    are_equal,
    example,
    make_job,
    sealed_checkpoint,
    trained_weights,
    training_settings,
    with_candidates,
    workers_of,
)
from tests.waiting import are_gone, until

REPOSITORY = Path(__file__).parents[2]
LEARNING: dict[str, Any] = {"method": "topk_kd", "epochs": 12}
TRAIN, VALIDATION = 29, 9  # in the last of an epoch's 8 steps there is one row, and nothing for the second process
TWO: dict[str, Any] = {"processes": 2, "device_batch_size": 1}
PARENT = """
import signal, sys
from pathlib import Path
from tasks.core.errors import PreemptedError
from tasks.training.launch import run_training
from tasks.training.job import TrainingJob

def stop(*_):
    raise PreemptedError("told to stop")

signal.signal(signal.SIGTERM, stop)
run_training(TrainingJob.model_validate_json(Path(sys.argv[1]).read_text()))
"""


def uneven_job(folder: Path, **runtime: Any) -> TrainingJob:
    """Return the job of a training whose rows cannot be divided evenly among two processes."""
    splits = ["train"] * TRAIN + ["validation"] * VALIDATION
    rows = [with_candidates(example(number, split=split)) for number, split in enumerate(splits)]
    return make_job(folder, training_settings(**LEARNING, runtime=runtime), rows)


def start_parent(job: TrainingJob) -> subprocess.Popen[bytes]:
    """Start a process that runs a training."""
    file = job.workspace.parent / "job.json"
    file.write_text(job.model_dump_json())
    return subprocess.Popen([sys.executable, "-c", PARENT, str(file)], stderr=subprocess.DEVNULL, cwd=REPOSITORY)


def both_ranks(job: TrainingJob, parent: int | None = None) -> list[psutil.Process]:
    """Wait for two training processes and return them, the first rank first."""

    def found() -> list[psutil.Process] | None:
        workers = workers_of(job, parent)
        return workers if len(workers) == 2 else None

    return sorted(until(found, "two workers"), key=lambda worker: int(worker.environ()["RANK"]))


def come_to(job: TrainingJob, step: int) -> None:
    """Wait until a training has logged a step, or a later one."""
    until(lambda: any(row["step"] >= step for row in read_metrics(job.metrics)), f"step {step}", 240)


def figures(job: TrainingJob, name: str) -> dict[int, float]:
    """Return a figure by step, as it was logged last."""
    return {row["step"]: row[name] for row in read_metrics(job.metrics) if name in row}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """A job that one process trains."""
    return uneven_job(tmp_path_factory.mktemp("one"), device_batch_size=1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, one: TrainingJob) -> Iterator[TrainingJob]:
    """The same for two processes; both run while the first test that wants them does its own work."""
    job = uneven_job(tmp_path_factory.mktemp("two"), **TWO)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run_training, each) for each in (job, one)]
        yield job
        for each in running:
            each.result()


def wait_for(job: TrainingJob) -> None:
    until(lambda: job.status.is_file() and "finished" in job.status.read_text(), "the end of the training", 300)


@pytest.mark.slow
def test_whichever_process_ends_the_next_run_goes_on_bit_by_bit(two: TrainingJob, tmp_path: Path) -> None:
    job = uneven_job(tmp_path, **TWO)
    moments = sorted(random.Random(7).sample(range(10, 65, 5), 4))

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(run_training, job)
        ranks = both_ranks(job)
        family = [*ranks, *ranks[0].parents()[:1]]
        come_to(job, moments[0])
        ranks[1].kill()
        with pytest.raises(StageFailedError):
            killed.result(timeout=60)
        assert are_gone(family)

        stopped = pool.submit(run_training, job)
        ranks = both_ranks(job)
        come_to(job, moments[1])
        ranks[1].send_signal(signal.SIGTERM)
        with pytest.raises(PreemptedError):
            stopped.result(timeout=60)
    assert_stopped_without_loss(job)

    with start_parent(job) as parent:
        ranks = both_ranks(job, parent.pid)
        come_to(job, moments[2])
        parent.send_signal(signal.SIGTERM)
        parent.wait(60)
    assert are_gone(ranks)
    assert_stopped_without_loss(job)

    with start_parent(job) as parent:
        ranks = both_ranks(job, parent.pid)
        family = [*ranks, *ranks[0].parents()[:1]]
        come_to(job, moments[3])
        parent.kill()
    until(lambda: are_gone(family), "the end of the orphans", 5)

    assert not job.output.exists()
    metrics = run_training(job)
    starts = [row["step"] for row in metrics if row.keys() == {"step", "max_steps", "seconds"}]
    assert len(starts) == 5
    assert all(start > 0 for start in starts[1:])
    wait_for(two)
    assert figures(job, "eval_loss") == figures(two, "eval_loss")
    assert are_equal(trained_weights(job), trained_weights(two))


def assert_stopped_without_loss(job: TrainingJob) -> None:
    """All processes were at one step when they stopped, and that is in the newest checkpoint."""
    newest = newest_checkpoint(job.checkpoints, job.identity, 2)
    assert newest is not None
    assert newest.name == f"checkpoint-{read_metrics(job.metrics)[-1]['step']}"
    assert {path.name for path in newest.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}


@pytest.mark.slow
def test_two_processes_train_the_student_that_one_trains(one: TrainingJob, two: TrainingJob) -> None:
    for job in (one, two):
        wait_for(job)
    losses = figures(two, "loss")
    assert losses[95] < losses[5] / 3
    for name in ("loss", "grad_norm", "kd_loss", "mean_token_accuracy", "eval_loss", "eval_mean_token_accuracy"):
        assert figures(two, name) == pytest.approx(figures(one, name), rel=1e-3), name
    ours, theirs = trained_weights(two), trained_weights(one)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.allclose(tensor, theirs[name], atol=1e-4), name
    assert len(list(two.output.glob("*.safetensors"))) == 1


@pytest.mark.slow
def test_another_number_of_processes_is_refused_and_the_error_says_what_to_do(two: TrainingJob, tmp_path: Path) -> None:
    wait_for(two)
    job = uneven_job(tmp_path, device_batch_size=1)
    shutil.copytree(two.checkpoints, job.checkpoints)
    with pytest.raises(SettingsError, match=r"written by 2 processes, wanted 1.*set runtime\.processes .* to 2 again"):
        run_training(job)


@pytest.mark.slow
def test_two_machines_train_together_by_the_command_that_the_first_one_logs(
    two: TrainingJob, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as torchrun gives several processes of one machine; sums depend on it
    caplog.set_level("INFO", "potstill")
    job = uneven_job(tmp_path, device_batch_size=1, nodes=2, rendezvous=f"127.0.0.1:{closed_port()}")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run_training, job)

        def command() -> str | None:
            return next((text.partition("run: ")[2] for text in caplog.messages if "other 1 machines run: " in text), None)

        with subprocess.Popen(shlex.split(until(command, "the command")), cwd=REPOSITORY) as second:
            metrics = first.result(timeout=300)
            assert second.wait(60) == 0
    assert metrics[-1]["step"] == metrics[-1]["max_steps"] == 96
    wait_for(two)
    assert are_equal(trained_weights(job), trained_weights(two))


def listening_child(parent: int, port: int) -> psutil.Process | None:
    """Return the child that holds a port; children that end while they are looked at (imports start some) are not it."""
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error, FileNotFoundError):
            if any(each.laddr.port == port for each in child.net_connections()):
                return child
    return None


@pytest.mark.slow
def test_a_machine_that_waits_for_another_ends_with_whoever_started_it(tmp_path: Path) -> None:
    job = uneven_job(tmp_path, nodes=2, rendezvous=f"127.0.0.1:{closed_port()}")
    port = int(str(job.settings.runtime.rendezvous).partition(":")[2])
    with start_parent(job) as parent:
        launcher = until(lambda: listening_child(parent.pid, port), "its waiting for the other machine")
        parent.kill()
    until(lambda: are_gone([launcher]), "the end of the launcher", 5)
    assert not sealed_checkpoint(job)


@pytest.mark.slow
def test_weights_are_not_left_whole_on_each_device_where_they_were_to_be_divided(tmp_path: Path) -> None:
    job = uneven_job(tmp_path, **TWO, sharding="full")
    with pytest.raises(SettingsError, match=r"sharding is full, .* wanted CUDA devices; set it to none"):
        run_training(job)
