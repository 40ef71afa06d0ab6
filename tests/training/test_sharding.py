"""FSDP2: weights, gradients and optimiser state divided among processes train the student that one process trains."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.core.errors import PreemptedError
from tasks.core.process import run_worker
from tasks.training.checkpoints.local import newest_checkpoint
from tasks.training.job import TrainingJob
from tasks.training.launch import read_metrics, run_training, torchrun_options
from tests.trainings import are_equal, example, make_job, trained_weights, training_settings, with_candidates
from tests.waiting import until

pytestmark = pytest.mark.slow

SPLITS = ["train"] * 29 + ["validation"] * 9  # neither can be divided evenly


def tied_job(folder: Path, processes: int, **changes: Any) -> TrainingJob:
    """Return the job of following a teacher's candidates with a student whose head is its embedding."""
    rows = [with_candidates(example(number, split=split)) for number, split in enumerate(SPLITS)]
    runtime = {"processes": processes, "sharding": "full" if processes > 1 else "none", "device_batch_size": 1}
    job = make_job(folder, training_settings(method="topk_kd", runtime=runtime, **changes), rows)
    student: Any = AutoModelForCausalLM.from_pretrained(job.weights)
    student.config.tie_word_embeddings = True
    student.tie_weights()
    student.save_pretrained(job.weights)
    return job


def train_divided(job: TrainingJob) -> None:
    """Train in processes that divide the weights though they have no CUDA devices."""
    file = job.workspace / "job.json"
    file.write_text(job.model_dump_json())
    run_worker(
        "tests.training.sharded_worker",
        file,
        job.workspace / "worker.log",
        grace_seconds=30,
        launcher=["-m", "tasks.training.torchrun", *torchrun_options(job.settings.runtime, "sharding")],
        was_stopped=lambda: job.status.is_file() and "stopped" in job.status.read_text(),
    )


def figures(job: TrainingJob, name: str) -> dict[int, float]:
    """Return a figure by step, as it was logged last."""
    return {row["step"]: row[name] for row in read_metrics(job.metrics) if name in row}


def first_rank(job: TrainingJob) -> psutil.Process:
    """Return the process of a job that writes the checkpoints."""
    children = psutil.Process().children(recursive=True)
    lines = {child: " ".join(child.cmdline()) for child in children if child.status() != psutil.STATUS_ZOMBIE}
    workers = [child for child, line in lines.items() if str(job.workspace) in line and "torchrun" not in line]
    return next(worker for worker in workers if worker.environ()["RANK"] == "0")


def test_divided_weights_are_trained_stopped_resumed_and_exported_as_whole_ones_are(tmp_path: Path) -> None:
    whole, divided, stopped = tied_job(tmp_path / "1", 1), tied_job(tmp_path / "2", 2), tied_job(tmp_path / "3", 2)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(run_training, whole), pool.submit(train_divided, divided)]
        outcome = pool.submit(train_divided, stopped)
        until(lambda: 10 in figures(stopped, "loss") or outcome.done(), "step 10")
        first_rank(stopped).send_signal(signal.SIGTERM)
        with pytest.raises(PreemptedError):
            outcome.result(timeout=60)
        newest = newest_checkpoint(stopped.checkpoints, stopped.identity, 2)
        assert newest is not None
        assert newest.name == f"checkpoint-{read_metrics(stopped.metrics)[-1]['step']}"
        assert (newest / "pytorch_model_fsdp.bin").is_file(), "FSDP wrote it"
        train_divided(stopped)
        for each in others:
            each.result()

    assert json.loads(divided.findings.read_text())["sharding"] == "full"
    assert are_equal(trained_weights(stopped), trained_weights(divided))
    for name in ("loss", "grad_norm", "kd_loss", "eval_loss"):
        assert figures(divided, name) == pytest.approx(figures(whole, name), rel=1e-3), name
    ours, theirs = trained_weights(divided), trained_weights(whole)
    assert ours.keys() == theirs.keys()
    assert "lm_head.weight" not in ours
    assert all(torch.allclose(tensor, theirs[name], atol=1e-4) for name, tensor in ours.items())
    assert AutoModelForCausalLM.from_pretrained(divided.output).num_parameters() > 0


def test_in_bfloat16_the_loss_is_not_rounded_to_it(tmp_path: Path) -> None:
    job = tied_job(tmp_path, 2, precision="bfloat16")
    train_divided(job)
    losses = figures(job, "loss")
    assert losses[20] < losses[5] / 2
    assert any(loss * 5 * 2**14 % 1 for loss in losses.values()), "the means of 5 steps, of 8 bits each"
