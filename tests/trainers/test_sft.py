"""Training in a process of its own: it learns, writes a model that loads, and ends with whoever started it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.training.job import TrainingJob
from tasks.training.launch import read_metrics, run_training
from tests.trainings import make_job, sealed_checkpoint, trained_weights, training_settings, workers_of
from tests.waiting import until

pytestmark = pytest.mark.slow

PARENT = """
import sys
from pathlib import Path
from tasks.training.launch import run_training
from tasks.training.job import TrainingJob
run_training(TrainingJob.model_validate_json(Path(sys.argv[1]).read_text()))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    job = make_job(tmp_path_factory.mktemp("trained"), training_settings(epochs=25))
    run_training(job)
    return job


def test_a_training_learns_and_writes_a_model_that_loads(trained: TrainingJob) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    metrics = read_metrics(trained.metrics)
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert metrics[-1]["step"] == metrics[-1]["max_steps"] == 200
    assert losses[-1] < losses[0] / 5
    assert sum("eval_loss" in row for row in metrics) == 25
    model: Any = AutoModelForCausalLM.from_pretrained(trained.output)
    tokenizer = AutoTokenizer.from_pretrained(trained.output)
    question = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Batch 7: is it cold?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**question, max_new_tokens=10, do_sample=False)[0, question["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True).startswith("it is ")


def test_each_log_tells_loss_gradient_accuracy_speed_and_memory(trained: TrainingJob) -> None:
    row = next(row for row in reversed(read_metrics(trained.metrics)) if "loss" in row)
    assert row["ce_loss"] == pytest.approx(row["loss"], rel=0.05), "one is averaged over tokens, the other over steps"
    assert row["grad_norm"] > 0
    assert 0.5 < row["mean_token_accuracy"] <= 1
    assert row["tokens_per_second"] > 0
    assert row["memory_bytes"] > 100 << 20


@pytest.mark.parametrize("moment", ["at once", "while it trains"])
def test_no_training_outlives_the_process_that_started_it(tmp_path: Path, moment: str) -> None:
    job = make_job(tmp_path, training_settings(epochs=300))
    (tmp_path / "job.json").write_text(job.model_dump_json())
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "job.json")]) as parent:
        try:
            (worker,) = until(lambda: workers_of(job, parent.pid), "the worker")
            if moment == "while it trains":
                until(lambda: sealed_checkpoint(job), "the first checkpoint")
        finally:
            parent.kill()
    try:
        worker.wait(timeout=20)
    finally:
        if worker.is_running():
            worker.kill()


def test_adapters_are_merged_into_a_plain_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    job = make_job(tmp_path, training_settings(lora={"rank": 4, "alpha": 16}))
    metrics = run_training(job)
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert losses[-1] < losses[0]
    start, trained = load_file(job.weights / "model.safetensors"), trained_weights(job)
    assert trained.keys() == start.keys()
    changed = {name.split(".")[-2] for name in start if not torch.equal(start[name], trained[name])}
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert not list(job.output.glob("adapter*"))
    assert AutoModelForCausalLM.from_pretrained(job.output).num_parameters() > 0
