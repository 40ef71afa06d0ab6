"""One training from its job to its weights: what the methods share before, around and after the Trainer."""

import json
import os
from dataclasses import replace
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig

from tasks.core.environment import has_cuda
from tasks.core.errors import SettingsError
from tasks.preflight_checks.templates import end_token_ids
from tasks.training.answer_trainer import AnswerTrainer
from tasks.training.arguments import is_sharded, trainer_arguments, world_size
from tasks.training.callbacks import EpochOrder, MetricsFile, SealedCheckpoints, StopOnSignal
from tasks.training.checkpoints.local import newest_checkpoint
from tasks.training.collation import AnswerCollator
from tasks.training.encoding import Encoder
from tasks.training.export import export_student
from tasks.training.job import TrainingJob
from tasks.training.loading import adapters, load_student, load_tokenizer, require_exact_packing, uses_bfloat16
from tasks.training.room import require_room
from tasks.training.training_rows import prepare_rows
from tasks.training.validation_watch import ValidationWatch


def run_answer_training(job: TrainingJob, kind: type[AnswerTrainer], **options: Any) -> bool:
    """Train on the answers of a dataset with one kind of trainer.

    Args:
        job: What to train, on what, and where to write.
        kind: The trainer of the method.
        options: What it takes beside ``AnswerTrainer``'s arguments.

    Returns:
        Whether the training finished; False when it was told to stop and left a checkpoint.

    Raises:
        DataError: If too many rows cannot be trained on.
        ModelError: If the model cannot be trained as the settings ask.
        SettingsError: If the settings do not fit the model or the device.
    """
    trainer, findings = build_answer_trainer(job, kind, **options)
    return finish_training(trainer, job, findings)


def build_answer_trainer(job: TrainingJob, kind: type[AnswerTrainer], **options: Any) -> tuple[AnswerTrainer, dict[str, Any]]:
    """Return a trainer that is ready to train, and what was found out on the way; as ``run_answer_training`` takes and raises."""
    settings = job.settings
    tokenizer = load_tokenizer(job.weights)
    encoder = Encoder(tokenizer, end_token_ids(job.weights, tokenizer), settings)
    own = job.encoded / os.environ.get("RANK", "0")  # each process has files of its own, so that none reads half of one
    splits, findings = prepare_rows(job.examples, own, encoder, settings)
    findings["estimated_memory_bytes"] = require_room(job, max(splits["train"].dataset["length"])).total
    model = load_student(job.weights, settings)
    if settings.packing:
        require_exact_packing(model)
    arguments = trainer_arguments(job, len(splits["train"].dataset), bool(len(splits["validation"].dataset)))
    trainer = kind(
        model=model,
        args=SFTConfig(
            **arguments,
            max_length=None,  # over-long rows were counted, and cut or set aside, when they were encoded
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        data_collator=AnswerCollator(splits, tokenizer.pad_token_id, settings.packing),
        train_dataset=splits["train"].dataset,
        eval_dataset=splits["validation"].dataset if len(splits["validation"].dataset) else None,
        processing_class=tokenizer,
        peft_config=adapters(settings),
        chunk_tokens=settings.runtime.loss_chunk_tokens,
        **options,
    )
    return trainer, findings


def finish_training(trainer: Any, job: TrainingJob, findings: dict[str, Any]) -> bool:
    """Train from the newest whole checkpoint, or from the start, and write the student.

    Args:
        trainer: A Trainer that is ready to train.
        job: Where its files are.
        findings: What is known for the record so far; the number formats and kernels are added.

    Returns:
        Whether the training finished; False when it was told to stop and left a checkpoint.

    Raises:
        SettingsError: If the weights cannot be divided here, or the newest checkpoint is of another number of processes.
    """
    _prepare_sharding(trainer, job)
    stop, watch = StopOnSignal(), ValidationWatch(trainer, job.best, job.settings.validation)
    seal = SealedCheckpoints(job)
    for callback in (EpochOrder(), MetricsFile(job.metrics), watch, seal, stop):
        trainer.add_callback(callback)
    checkpoint = newest_checkpoint(job.checkpoints, job.identity, world_size(job.settings))
    watch.restore(checkpoint)
    if trainer.is_world_process_zero():
        job.findings.write_text(json.dumps({**findings, **_conditions(trainer, job)}, indent=2), encoding="utf-8")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.accelerator.wait_for_everyone()  # for the first process, which seals checkpoints and keeps the best weights
    if stop.stopped:
        return False
    trained = watch.best_weights()
    if trained is None:
        trained = job.workspace / "last"
        trainer.save_model(str(trained))
    if trainer.is_world_process_zero():
        export_student(trained, job)
    trainer.accelerator.wait_for_everyone()
    return True


def _prepare_sharding(trainer: Any, job: TrainingJob) -> None:
    """See that weights are divided if they are to be, and that the loss and the sum of gradients stay float32."""
    if is_sharded(job.settings) and not trainer.is_fsdp_enabled:  # Accelerate would train on, with all weights on each device
        raise SettingsError(
            "training.runtime.sharding is full, and Accelerate divides weights among accelerators only, wanted CUDA devices; set "
            "it to none, or train there"
        )
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.mixed_precision_policy is not None:
        plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, reduce_dtype=torch.float32, output_dtype=None)


def _conditions(trainer: Any, job: TrainingJob) -> dict[str, Any]:
    """Return how the training is computed: device, formats, kernels, batches."""
    arguments, model = trainer.args, trainer.model
    return {
        "device": torch.cuda.get_device_name() if has_cuda() else "cpu",
        "processes": world_size(job.settings),
        "sharding": "full" if trainer.is_fsdp_enabled else "none",
        "matrix_products": "bfloat16" if uses_bfloat16(job.settings) else "float32",
        "weights": str(next(model.parameters()).dtype).removeprefix("torch."),
        "attention": model.config._attn_implementation,
        "optimizer": str(arguments.optim.value),
        "gradient_checkpointing": bool(arguments.gradient_checkpointing),
        "device_batch_size": arguments.per_device_train_batch_size,
        "gradient_accumulation_steps": arguments.gradient_accumulation_steps,
        "trained_parameters": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
