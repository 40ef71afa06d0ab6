"""What every training does beside training: it reports, seals its checkpoints, and stops cleanly when told to."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from tasks.training.checkpoints.local import seal_checkpoint
from tasks.training.job import TrainingJob
from tasks.training.validation_watch import kept_best


class MetricsFile(TrainerCallback):
    """Appends every log of the Trainer to a JSON Lines file, with the step and the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Say where the training starts: at 0, or at a checkpoint."""
        self._append(state, {})

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        """Append what the Trainer logs."""
        self._append(state, {name: float(value) for name, value in (logs or {}).items()})

    def _append(self, state: TrainerState, figures: dict[str, float]) -> None:
        if not state.is_world_process_zero:
            return
        row = {"step": state.global_step, "max_steps": state.max_steps, **figures}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "seconds": round(time.monotonic() - self._started, 3)}) + "\n")


class EpochOrder(TrainerCallback):
    """Tells the order of the rows which epoch begins.

    Accelerate does not reach a sampler behind both the division among processes and the batches that a resumed training skips:
    the epoch that it goes on with would have the rows of another one.
    """

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Find the order and tell it."""
        batches = train_dataloader.batch_sampler
        while hasattr(batches, "batch_sampler"):
            batches = batches.batch_sampler
        batches.sampler.set_epoch(int(state.epoch or 0))


class SealedCheckpoints(TrainerCallback):
    """Seals every checkpoint once the Trainer has finished writing it, with the best weights so far inside."""

    def __init__(self, job: TrainingJob) -> None:
        self._best, self._identity = job.best, job.identity

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal the checkpoint that was just written."""
        if dist.is_initialized():
            dist.barrier()  # the Trainer does not wait for the other processes' random states
        if not state.is_world_process_zero:
            return
        checkpoint = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if self._best.is_dir():
            shutil.copytree(self._best, kept_best(checkpoint), copy_function=os.link)
        seal_checkpoint(checkpoint, state.global_step, args.world_size, self._identity)


class StopOnSignal(TrainerCallback):
    """On SIGTERM: finishes the step, writes a checkpoint and ends the training; ``stopped`` tells it from a finished one.

    All processes stop together, whichever was told. Stopping at a step's end keeps the resumed run bit-equal to an uninterrupted
    one; Transformers' own just-in-time checkpoint is written in the middle of a step. An evaluation that is due is made, for the
    resumed run would not make it.
    """

    def __init__(self) -> None:
        self._told = False
        self.stopped = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Listen for the signal from here on: before the first step there is nothing to save."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save and stop if the signal came during the step, unless it was the last one."""
        if state.global_step < state.max_steps and self._anyone_told(args):
            control.should_save = True
            control.should_training_stop = True
            self.stopped = True

    def _anyone_told(self, args: TrainingArguments) -> bool:
        if not dist.is_initialized():
            return self._told
        told = torch.tensor(float(self._told), device=args.device)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return bool(told.item())

    def _on_signal(self, *_: object) -> None:
        self._told = True
