"""The Trainer's arguments, the same for every method, and what they were in the end, for the record."""

import math
from typing import Any

from tasks.core.environment import has_cuda
from tasks.core.errors import SettingsError
from tasks.training.job import TrainingJob
from tasks.training.loading import uses_bfloat16
from tasks.training.settings import TrainingSettings

LOGGING_STEPS = 5


def trainer_arguments(job: TrainingJob, rows: int, has_validation: bool) -> dict[str, Any]:
    """Return arguments of ``SFTConfig``, and of TRL's other configurations that extend the Trainer's.

    Args:
        job: The training.
        rows: Training rows.
        has_validation: Whether there are rows to watch.

    Raises:
        SettingsError: If the batch cannot be divided among the devices.
    """
    settings, cuda = job.settings, has_cuda()
    device_batch, accumulation = _micro_batches(settings)
    every = settings.validation.every_steps or steps_per_epoch(rows, settings)
    checkpointing = settings.runtime.gradient_checkpointing
    return {
        "output_dir": str(job.checkpoints),
        "use_cpu": not cuda,
        "bf16": uses_bfloat16(settings),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": settings.warmup_ratio,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": "adamw_torch_fused",
        "per_device_train_batch_size": device_batch,
        "per_device_eval_batch_size": device_batch,
        "gradient_accumulation_steps": accumulation,
        # Memory is what a GPU lacks, time what a CPU lacks; FSDP checkpoints by itself.
        "gradient_checkpointing": (cuda if checkpointing is None else checkpointing) and not is_sharded(settings),
        "eval_strategy": "steps" if has_validation else "no",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": settings.runtime.checkpoint_steps,
        "save_total_limit": 2,
        "logging_steps": LOGGING_STEPS,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
        "seed": settings.seed,
        "data_seed": settings.seed,
        **_distribution(settings, cuda),
    }


def steps_per_epoch(rows: int, settings: TrainingSettings) -> int:
    """Return the optimiser steps of one pass over the rows, as the Trainer counts them."""
    device_batch, accumulation = _micro_batches(settings)
    per_device = math.ceil(rows / world_size(settings))
    return max(math.ceil(math.ceil(per_device / device_batch) / accumulation), 1)


def world_size(settings: TrainingSettings) -> int:
    """Return how many processes train together."""
    return settings.runtime.processes * settings.runtime.nodes


def is_sharded(settings: TrainingSettings) -> bool:
    """Return whether weights, gradients and optimiser state are divided among the processes."""
    return settings.runtime.sharding == "full" and world_size(settings) > 1


def _micro_batches(settings: TrainingSettings) -> tuple[int, int]:
    devices = world_size(settings)
    if settings.batch_size % devices:
        raise SettingsError(
            f"training.batch_size is {settings.batch_size} and cannot be divided among {devices} devices; give a multiple of them"
        )
    share = settings.batch_size // devices
    device_batch = min(settings.runtime.device_batch_size or share, share)
    if share % device_batch:
        raise SettingsError(
            f"the {share} rows of a step on one device cannot be divided into forward passes of {device_batch}; "
            "give a training.runtime.device_batch_size that divides them"
        )
    return device_batch, share // device_batch


def _distribution(settings: TrainingSettings, cuda: bool) -> dict[str, Any]:
    if world_size(settings) == 1:
        return {}
    if not is_sharded(settings):
        return {"ddp_backend": "nccl" if cuda else "gloo", "ddp_find_unused_parameters": False}
    checkpointing = settings.runtime.gradient_checkpointing
    return {
        "ddp_backend": "nccl" if cuda else "gloo",
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "reshard_after_forward": True,
            "activation_checkpointing": cuda if checkpointing is None else checkpointing,
            "cpu_ram_efficient_loading": False,  # every process loads the same local files
            "state_dict_type": "FULL_STATE_DICT",  # whole safetensors, which any number of processes reads
        },
    }
