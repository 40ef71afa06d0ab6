"""What every training does beside training: it reports, seals its checkpoints, and stops cleanly when told to."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from tasks.trainers.checkpoints import seal_checkpoint


class MetricsFile(TrainerCallback):
    """Appends every log of the Trainer to a JSON Lines file, with the step and the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Say where the training starts: at 0, or at a checkpoint."""
        self._append({"step": state.global_step, "max_steps": state.max_steps})

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        """Append what the Trainer logs."""
        self._append({"step": state.global_step, "max_steps": state.max_steps, **{k: float(v) for k, v in (logs or {}).items()}})

    def _append(self, row: dict[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "seconds": round(time.monotonic() - self._started, 3)}) + "\n")


class SealedCheckpoints(TrainerCallback):
    """Seals every checkpoint once the Trainer has finished writing it."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal the checkpoint that was just written."""
        if state.is_world_process_zero:
            seal_checkpoint(Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")


class StopOnSignal(TrainerCallback):
    """On SIGTERM: finishes the step, writes a checkpoint and ends the training; ``stopped`` tells it from a finished one.

    Stopping at a step's end keeps the resumed run bit-equal to an uninterrupted one; Transformers' own just-in-time checkpoint
    is written in the middle of a step.
    """

    def __init__(self) -> None:
        self._told = False
        self.stopped = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Listen for the signal from here on: before the first step there is nothing to save."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save and stop if the signal came during the step, unless it was the last one."""
        if self._told and state.global_step < state.max_steps:
            control.should_save = True
            control.should_evaluate = False
            control.should_training_stop = True
            self.stopped = True

    def _on_signal(self, *_: object) -> None:
        self._told = True
