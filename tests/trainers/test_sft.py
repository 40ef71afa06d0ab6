"""Training in a process of its own: it learns, and whatever ends it in the middle, the next run finishes it bit by bit alike."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tasks.core.errors import PreemptedError, StageFailedError
from tasks.core.records import EXAMPLES, Example
from tasks.core.tables import write_table
from tasks.trainers.checkpoints import newest_checkpoint
from tasks.trainers.launch import read_metrics, run_training
from tasks.trainers.settings import TrainingJob, TrainingRuntime, TrainingSettings
from tests.models import tiny_model

pytestmark = pytest.mark.slow

Found = TypeVar("Found")

STEPS = 200
LEARNING = TrainingSettings(
    epochs=25,  # of 8 steps each
    learning_rate=1e-2,
    batch_size=4,
    precision="float32",
    runtime=TrainingRuntime(device_batch_size=2, checkpoint_steps=2, grace_seconds=30),
)
BRIEF = LEARNING.model_copy(update={"epochs": 3, "lora_rank": 4, "lora_alpha": 16})
PARENT = """
import sys
from pathlib import Path
from tasks.trainers.launch import run_training
from tasks.trainers.settings import TrainingJob
run_training(TrainingJob.model_validate_json(Path(sys.argv[1]).read_text()))
"""


def make_job(folder: Path, settings: TrainingSettings) -> TrainingJob:
    """Write a tiny model and 40 rows, 32 of them for training, and return the job of training on them."""
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    colours = ["hot", "cold", "mild"]
    rows = [
        Example(
            id=str(number),
            messages=[{"role": "user", "content": f"Batch {number}: {'x' * (number % 7)} is it {colours[number % 3]}?"}],
            text=None,
            completion=f"it is {colours[number % 3]}",
            reference=None,
            split="validation" if number % 5 == 0 else "train",
            reasons=[],
        )
        for number in range(40)
    ]
    write_table(folder / EXAMPLES.file, EXAMPLES, rows)
    weights = tiny_model(folder / "start")
    return TrainingJob(
        settings=settings, examples=folder / EXAMPLES.file, weights=weights, output=folder / "trained", workspace=workspace
    )


def trained_weights(job: TrainingJob) -> dict[str, torch.Tensor]:
    return load_file(job.output / "model.safetensors")


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def worker_of(job: TrainingJob, parent: int | None = None) -> psutil.Process | None:
    """Return the training process of a job, if it runs."""
    for child in psutil.Process(parent).children(recursive=True):
        try:
            if "tasks.trainers.worker" in child.cmdline() and str(job.workspace / "job.json") in child.cmdline():
                return child
        except psutil.Error:
            continue
    return None


def until(found: Callable[[], Found | None], what: str, seconds: float = 120) -> Found:
    """Wait until something is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        thing = found()
        if thing:
            return thing
        time.sleep(0.02)
    raise AssertionError(f"{what} took more than {seconds} s")


def sealed_checkpoint(job: TrainingJob) -> Path | None:
    return next(job.checkpoints.glob("checkpoint-*/manifest.json"), None)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    job = make_job(tmp_path_factory.mktemp("uninterrupted"), LEARNING)
    run_training(job)
    return job


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[TrainingJob, Future[list[dict[str, Any]]]]]:
    """A training that runs, and its outcome to come."""
    job = make_job(tmp_path, LEARNING)
    with ThreadPoolExecutor(1) as pool:
        yield job, pool.submit(run_training, job)


def test_a_training_learns_and_writes_a_model_that_loads(uninterrupted: TrainingJob) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    metrics = read_metrics(uninterrupted.metrics)
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert metrics[-1]["step"] == metrics[-1]["max_steps"] == STEPS
    assert losses[-1] < losses[0] / 5
    assert sum("eval_loss" in row for row in metrics) == 25
    model: Any = AutoModelForCausalLM.from_pretrained(uninterrupted.output)
    tokenizer = AutoTokenizer.from_pretrained(uninterrupted.output)
    question = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Batch 7: is it cold?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**question, max_new_tokens=10, do_sample=False)[0, question["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True).startswith("it is ")


def test_a_killed_training_is_resumed_and_ends_bit_by_bit_as_if_it_had_not_been_killed(
    started: tuple[TrainingJob, Future[list[dict[str, Any]]]], uninterrupted: TrainingJob
) -> None:
    job, outcome = started
    until(lambda: sealed_checkpoint(job), "the first checkpoint")
    worker = until(lambda: worker_of(job), "the worker", seconds=1)
    worker.kill()
    with pytest.raises(StageFailedError, match="status -9"):
        outcome.result(timeout=30)
    assert not job.output.exists()
    metrics = run_training(job)
    resumed_at = [row["step"] for row in metrics if "loss" not in row and "eval_loss" not in row][1]
    assert 0 < resumed_at < STEPS
    assert metrics[-1]["step"] == STEPS
    assert are_equal(trained_weights(job), trained_weights(uninterrupted))


def test_a_training_that_is_told_to_stop_leaves_a_checkpoint_from_which_it_is_resumed(
    started: tuple[TrainingJob, Future[list[dict[str, Any]]]], uninterrupted: TrainingJob
) -> None:
    job, outcome = started
    until(lambda: sealed_checkpoint(job), "the first checkpoint")
    until(lambda: worker_of(job), "the worker", seconds=1).send_signal(signal.SIGTERM)
    with pytest.raises(PreemptedError, match="run again to resume it"):
        outcome.result(timeout=30)
    assert not job.output.exists()
    last_step = read_metrics(job.metrics)[-1]["step"]
    newest = newest_checkpoint(job.checkpoints)
    assert newest is not None
    assert newest.name == f"checkpoint-{last_step}", "no step is lost"
    run_training(job)
    assert are_equal(trained_weights(job), trained_weights(uninterrupted))


@pytest.mark.parametrize("moment", ["at once", "while it trains"])
def test_no_training_outlives_the_process_that_started_it(tmp_path: Path, moment: str) -> None:
    job = make_job(tmp_path, LEARNING)
    (tmp_path / "job.json").write_text(job.model_dump_json())
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "job.json")]) as parent:
        try:
            worker = until(lambda: worker_of(job, parent.pid), "the worker")
            if moment == "while it trains":
                until(lambda: sealed_checkpoint(job), "the first checkpoint")
        finally:
            parent.kill()
    try:
        worker.wait(timeout=5)
    finally:
        if worker.is_running():
            worker.kill()


def test_adapters_are_merged_into_a_plain_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    job = make_job(tmp_path, BRIEF)
    metrics = run_training(job)
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert losses[-1] < losses[0]
    start, trained = load_file(job.weights / "model.safetensors"), trained_weights(job)
    assert trained.keys() == start.keys()
    changed = {name.split(".")[-2] for name in start if not torch.equal(start[name], trained[name])}
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert not list(job.output.glob("adapter*"))
    assert AutoModelForCausalLM.from_pretrained(job.output).num_parameters() > 0


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    job = make_job(tmp_path, BRIEF)
    (job.weights / "config.json").unlink()
    with pytest.raises(StageFailedError, match=r"ended with status 1(.|\n)*config\.json"):
        run_training(job)


@pytest.mark.parametrize("items", [None, 57], ids=["one micro-batch", "a step of several micro-batches"])
def test_the_loss_over_answer_positions_is_trls_own(tmp_path: Path, items: int | None) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from tasks.trainers.sft import AnswerTrainer

    weights = tiny_model(tmp_path / "start")
    tokenizer = AutoTokenizer.from_pretrained(weights)
    batch = {
        "input_ids": torch.randint(3, 320, (3, 24), generator=torch.Generator().manual_seed(0)),
        "attention_mask": torch.tensor([[1] * 24, [1] * 20 + [0] * 4, [1] * 9 + [0] * 15]),
    }
    answered = torch.tensor([[0] * 10 + [1] * 14, [0] * 15 + [1] * 5 + [0] * 4, [0] * 4 + [1] * 5 + [0] * 15])
    batch["labels"] = batch["input_ids"].masked_fill(answered == 0, -100)
    rows = Dataset.from_dict({"input_ids": [[5, 6, 7]], "completion_mask": [[0, 1, 1]]})
    losses: dict[type[SFTTrainer], torch.Tensor] = {}
    gradients: dict[type[SFTTrainer], torch.Tensor] = {}
    for kind in (SFTTrainer, AnswerTrainer):
        model = AutoModelForCausalLM.from_pretrained(weights).train()
        arguments = SFTConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", bf16=False, max_length=None)
        trainer = kind(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
        number = None if items is None else torch.tensor(items)
        loss = trainer.compute_loss(model, dict(batch), num_items_in_batch=number)
        loss.backward()
        losses[kind], gradients[kind] = loss.detach(), model.model.layers[0].self_attn.q_proj.weight.grad
    torch.testing.assert_close(losses[AnswerTrainer], losses[SFTTrainer], rtol=0, atol=1e-5)
    torch.testing.assert_close(gradients[AnswerTrainer], gradients[SFTTrainer], rtol=0, atol=1e-5)
    assert gradients[SFTTrainer].abs().max() > 1e-3
