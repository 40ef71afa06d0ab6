"""Steps of every training method against those of a plain TRL script with the same rows and settings, in one process.

The student has SmolLM2's width and vocabulary and six layers; the teacher, for hidden_states, twelve. A round runs everything
once; figures are ratios of medians over all rounds, steps that warm up left out.
"""

import json
import statistics
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.core.environment import prepare_libraries

prepare_libraries()

import numpy as np
import transformers.trainer
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from tasks.core.memory import PeakMemory
from tasks.core.rendering import render_example
from tasks.trainers import METHODS
from tasks.training.arguments import trainer_arguments
from tasks.training.job import TrainingJob
from tests.models import tiny_tokenizer
from tests.trainings import example, training_settings, write_examples

ROWS, ROUNDS, WIDTH, DRAWS, WARM_UP = 64, 2, 64, 12, 2
METHODS_TIMED = ("sft", "topk_kd", "sampled_kd", "hidden_states")
TRL = "plain TRL script"


class StepTimes(TrainerCallback):
    """Notes how long each step takes, in whatever trainer is at work."""

    seconds: list[float] = []  # noqa: RUF012 - trainers make an instance each

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._started)


def main() -> None:
    """Print a JSON object for each ratio and each peak of memory."""
    of_every_trainer: list[type[TrainerCallback]] = transformers.trainer.DEFAULT_CALLBACKS  # pyright: ignore[reportAssignmentType]
    of_every_trainer.append(StepTimes)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        weights = {name: _model(place / name, layers) for name, layers in (("student", 6), ("teacher", 12))}
        examples = {draws: write_examples(place / f"{draws}.parquet", _rows(draws)) for draws in (None, DRAWS)}
        seconds: dict[str, list[float]] = {}
        peaks: dict[str, int] = {}
        for number in range(ROUNDS):
            for name in (TRL, *METHODS_TIMED):
                workspace = place / f"{name}-{number}"
                workspace.mkdir()
                job = TrainingJob(
                    settings=training_settings(
                        method="sft" if name == TRL else name,
                        epochs=1,
                        batch_size=8,
                        precision="auto",
                        runtime={"device_batch_size": 8, "checkpoint_steps": 1000},
                    ),
                    examples=examples[DRAWS if name == "sampled_kd" else None],
                    weights=weights["student"],
                    teacher=weights["teacher"],
                    output=workspace / "trained",
                    workspace=workspace,
                )
                StepTimes.seconds.clear()
                with PeakMemory() as memory:
                    _train_plainly(job) if name == TRL else import_module(METHODS[name]).train(job)
                seconds.setdefault(name, []).extend(StepTimes.seconds[WARM_UP:])
                peaks[name] = max(peaks.get(name, 0), memory.peak_bytes)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    _report("sft_throughput_ratio", medians[TRL] / medians["sft"], f"{TRL}: {medians[TRL]:.2f} s a step")
    for name in METHODS_TIMED[1:]:
        _report(f"{name}_step_ratio", medians[name] / medians["sft"], f"sft: {medians['sft']:.2f} s a step")
    for name in (TRL, *METHODS_TIMED):
        row = {
            "name": f"{name.replace(' ', '_')}_peak_bytes",
            "value": peaks[name],
            "unit": "bytes",
            "reference": "added by a training",
        }
        print(json.dumps(row), flush=True)


def _report(name: str, ratio: float, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(ratio, 3), "unit": "ratio", "reference": reference}), flush=True)


def _model(folder: Path, layers: int) -> Path:
    tokenizer: Any = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _rows(draws: int | None) -> list[Any]:
    """Return rows of some 60 prompt tokens and 40 answer tokens, with candidates at each of these."""
    tokenizer: Any = tiny_tokenizer()
    rng = np.random.default_rng(0)
    rows: list[Any] = []
    for number in range(ROWS):
        completion = " ".join(["hot", "cold", "mild"][rng.integers(3)] for _ in range(18))
        tokens = [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        width = WIDTH if draws is None else draws + 1
        ids = np.stack([rng.choice(49_152, width, replace=False) for _ in tokens]).astype(np.uint32)
        logprobs = np.log(np.tile(np.linspace(2, 0.1, width) / (1.1 * width), (len(tokens), 1))).astype(np.float16)
        candidates = {"token_ids": tokens, "token_logprobs": logprobs[:, 0].copy(), "top_ids": ids, "top_logprobs": logprobs}
        rows.append(example(number, completion=completion, split="train", **candidates))
    return rows


def _train_plainly(job: TrainingJob) -> None:
    """Train as a script would that gives TRL the same rows and the same arguments."""
    tokenizer: Any = AutoTokenizer.from_pretrained(job.weights)
    columns: dict[str, list[list[int]]] = {"input_ids": [], "completion_mask": []}
    for row in _rows(None):
        prompt, answer = render_example(tokenizer, row["messages"], row["text"], row["completion"])
        columns["input_ids"].append(prompt + answer)
        columns["completion_mask"].append([0] * len(prompt) + [1] * len(answer))
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.weights, dtype="float32"),
        args=SFTConfig(
            **trainer_arguments(job, ROWS, has_validation=False),
            max_length=None,
            completion_only_loss=True,
            train_sampling_strategy="group_by_length",
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    trainer.train()


if __name__ == "__main__":
    main()
