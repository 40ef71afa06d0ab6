"""On-policy distillation with TRL: the student answers the prompts itself, and the teacher says at each token what it would have.

The loss is a generalised Jensen-Shannon divergence over the whole vocabulary, on the student's own samples: what it learns from
are the mistakes that it makes (GKD, Agarwal et al. 2023, arXiv 2306.13649). The dataset's answers are not used.
"""

import time
from typing import Any

import torch
import trl.import_utils as trl_imports
from datasets import Dataset

# TRL loads vLLM at import wherever it is installed, for a mode of this trainer that is not used here: the training would take
# twice as long to start, and hold the library in memory beside student and teacher.
trl_imports.is_vllm_available = lambda *_, **__: False

from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer

from tasks.core.environment import has_cuda
from tasks.core.errors import DataError, SettingsError
from tasks.core.memory import held_bytes
from tasks.core.records import EXAMPLES
from tasks.core.rendering import render_prompt
from tasks.core.tables import read_table
from tasks.training.arguments import trainer_arguments
from tasks.training.encoding import TOO_LONG
from tasks.training.job import TrainingJob
from tasks.training.loading import adapters, load_student, load_teacher, load_tokenizer
from tasks.training.room import require_room
from tasks.training.row_order import RepeatedOrder, RowOrder
from tasks.training.session import finish_training


class OnPolicyTrainer(DistillationTrainer):
    """TRL's trainer on prompts that are rendered already, by the code that renders them for the teacher and for testing."""

    _logged_tokens, _logged_at = 0, 0.0

    def _get_train_sampler(self, dataset: Any = None) -> RepeatedOrder:
        rows: Any = self.train_dataset if dataset is None else dataset
        arguments = self.args
        batch_size = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        lengths = [len(tokens) for tokens in rows["prompt"]]
        return RepeatedOrder(RowOrder(lengths, batch_size, arguments.seed), batch_size, arguments.gradient_accumulation_steps)

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return prompts, None, {}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the figures with the speed since the last time, and the memory held."""
        if "loss" in logs:
            now, tokens = time.monotonic(), self.state.num_input_tokens_seen
            if self._logged_at:
                logs["tokens_per_second"] = round((tokens - self._logged_tokens) / max(now - self._logged_at, 1e-9), 1)
            logs["memory_bytes"] = torch.cuda.max_memory_allocated() if has_cuda() else held_bytes()
            self._logged_tokens, self._logged_at = tokens, now
        super().log(logs, start_time)


def train(job: TrainingJob) -> bool:
    """Train from the newest whole checkpoint, or from the start, and write the student.

    Args:
        job: What to train, on what, and where to write.

    Returns:
        Whether the training finished; False when it was told to stop and left a checkpoint.

    Raises:
        DataError: If no prompt is short enough.
        SettingsError: If there is no teacher, or its vocabulary is another one.
    """
    settings, policy = job.settings, job.settings.on_policy
    tokenizer = load_tokenizer(job.weights)
    prompts, too_long = _prompts(job, tokenizer)
    whole = len(prompts["train"]) // settings.batch_size * settings.batch_size
    if not whole:
        raise SettingsError(
            f"there are {len(prompts['train'])} prompts, fewer than training.batch_size = {settings.batch_size}; make it smaller"
        )
    longest = max(len(tokens) for tokens in prompts["train"]) + policy.max_new_tokens
    estimate = require_room(job, longest)
    student = load_student(job.weights, settings)
    teacher = load_teacher(job)
    sizes = [model.config.get_text_config().vocab_size for model in (student, teacher)]
    if sizes[0] != sizes[1]:
        raise SettingsError(
            f"on_policy compares whole distributions, and the student has {sizes[0]} output tokens, the teacher {sizes[1]}; take "
            "a student whose embedding has as many rows, or the method topk_kd"
        )
    trainer = OnPolicyTrainer(
        model=student,
        teacher_model=teacher,
        args=DistillationConfig(
            **trainer_arguments(job, whole, bool(prompts["validation"])),
            max_completion_length=policy.max_new_tokens,
            temperature=policy.temperature,
            beta=policy.beta,
        ),
        train_dataset=Dataset.from_dict({"prompt": prompts["train"]}),
        eval_dataset=Dataset.from_dict({"prompt": prompts["validation"]}) if prompts["validation"] else None,
        processing_class=tokenizer,
        peft_config=adapters(settings),
    )
    findings: dict[str, Any] = {"rows": {split: len(rows) for split, rows in prompts.items()}, "set_aside": {TOO_LONG: too_long}}
    findings["estimated_memory_bytes"] = estimate.total
    return finish_training(trainer, job, findings)


def _prompts(job: TrainingJob, tokenizer: Any) -> tuple[dict[str, list[list[int]]], int]:
    """Return each prompt's tokens by split, once, however many answers it has; and how many rows had no room for an answer."""
    limit, too_long = job.settings.max_length_tokens, 0
    found: dict[str, dict[str, list[int]]] = {"train": {}, "validation": {}}
    for row in read_table(job.examples, EXAMPLES):
        tokens = render_prompt(tokenizer, row["messages"], row["text"])
        if limit is None or len(tokens) + job.settings.on_policy.max_new_tokens <= limit:
            found[row["split"]].setdefault(row["id"], tokens)
        else:
            too_long += 1
    if not found["train"]:
        raise DataError(
            f"no prompt has room for an answer of on_policy.max_new_tokens within max_length_tokens = {limit}; raise it"
        )
    return {split: list(rows.values()) for split, rows in found.items()}, too_long
