"""Whatever ends a training in the middle, the next run finishes it bit by bit as if nothing had happened, by every method."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import PreemptedError, StageFailedError
from tasks.training.checkpoints.local import newest_checkpoint
from tasks.training.job import TrainingJob
from tasks.training.launch import read_metrics, run_training
from tests.trainings import are_equal, make_job, trained_weights, training_settings, workers_of
from tests.waiting import until

pytestmark = pytest.mark.slow

LORA = {"rank": 4, "alpha": 8, "dropout": 0.2}
EVERYTHING = {"hidden_weight": 1.0, "relation_weight": 0.5, "attention_weight": 0.5, "relation_heads": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft", "validation": {"every_steps": 3, "patience": 50}},
    "sft, adapters with dropout, packed": {"method": "sft", "lora": LORA, "packing": True},
    "topk_kd": {"method": "topk_kd"},
    "sampled_kd": {"method": "sampled_kd"},
    "hidden_states": {"method": "hidden_states", "hidden_states": EVERYTHING},
    "on_policy": {"method": "on_policy", "on_policy": {"max_new_tokens": 8}},
}


def end_during(job: TrainingJob, end: signal.Signals, step: int) -> None:
    """Run a training and end its process once it has come to a step."""
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(run_training, job)
        until(lambda: has_come_to(job, step) or outcome.done(), f"step {step}")
        for worker in workers_of(job):
            worker.send_signal(end)
        with pytest.raises(PreemptedError if end is signal.SIGTERM else StageFailedError):
            outcome.result(timeout=60)
    assert not job.output.exists()


def has_come_to(job: TrainingJob, step: int) -> bool:
    """Return whether the newest checkpoint that is whole is one of this step or a later one."""
    found = [int(path.parent.name.rpartition("-")[2]) for path in job.checkpoints.glob("checkpoint-*/manifest.json")]
    return max(found, default=0) >= step


def losses(metrics: list[dict[str, Any]]) -> dict[int, float]:
    """Return the validation loss by step, as it was logged last."""
    return {row["step"]: row["eval_loss"] for row in metrics if "eval_loss" in row}


def test_a_torn_checkpoint_is_set_aside_with_a_message_and_the_one_before_is_gone_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(tmp_path, training_settings(epochs=12))
    end_during(job, signal.SIGTERM, 10)
    newest = newest_checkpoint(job.checkpoints, job.identity, 1)
    assert newest is not None
    optimizer = newest / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:-1])
    metrics = run_training(job)
    torn_step = int(newest.name.rpartition("-")[2])
    assert f"{newest.name} is torn and was set aside" in caplog.text
    assert 0 < [row["step"] for row in metrics if row.keys() == {"step", "max_steps", "seconds"}][-1] < torn_step
    assert metrics[-1]["step"] == 96


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_that_was_killed_and_then_stopped_ends_as_if_it_had_not_been(tmp_path: Path, variant: str) -> None:
    settings = training_settings(**VARIANTS[variant], epochs=12)
    moments = sorted(random.Random(variant).sample(range(2, 70, 2), 2))
    uninterrupted, interrupted = make_job(tmp_path / "one", settings), make_job(tmp_path / "other", settings)
    with ThreadPoolExecutor(1) as pool:
        reference = pool.submit(run_training, uninterrupted)
        end_during(interrupted, signal.SIGKILL, moments[0])
        end_during(interrupted, signal.SIGTERM, moments[1])
        stopped_at = read_metrics(interrupted.metrics)[-1]["step"]
        newest = newest_checkpoint(interrupted.checkpoints, interrupted.identity, 1)
        assert newest is not None
        assert newest.name == f"checkpoint-{stopped_at}", "a training that is told to stop loses no step"
        metrics = run_training(interrupted)
        expected = reference.result()
    starts = [row["step"] for row in metrics if row.keys() == {"step", "max_steps", "seconds"}]
    assert len(starts) == 3
    assert all(start > 0 for start in starts[1:])
    assert metrics[-1]["step"] == metrics[-1]["max_steps"] == 96
    assert losses(metrics) == losses(expected)
    assert are_equal(trained_weights(interrupted), trained_weights(uninterrupted))
