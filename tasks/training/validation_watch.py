"""The watch on the validation split: the best weights so far are kept, and a training that no longer improves is ended."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tasks.training.settings import ValidationSettings

_LOSS = "eval_loss"
_STEP_FILE = "step.json"


class ValidationWatch(TrainerCallback):
    """Keeps the weights of the lowest validation loss in a folder, which checkpoints take along.

    What was best, and for how long, is read off the Trainer's log history, which a checkpoint restores: the patience of a
    resumed training is that of an uninterrupted one.
    """

    def __init__(self, trainer: Any, folder: Path, settings: ValidationSettings) -> None:
        """Prepare the watch.

        Args:
            trainer: The Trainer that is watched; it saves the weights.
            folder: Where the best weights are kept.
            settings: What counts as better, and when to give up.
        """
        self._trainer, self._folder, self._settings = trainer, folder, settings

    def restore(self, checkpoint: Path | None) -> None:
        """Go back to the best weights that a checkpoint took along; without a checkpoint there are none yet."""
        if not self._trainer.is_world_process_zero():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        if checkpoint is not None and kept_best(checkpoint).is_dir():
            shutil.copytree(kept_best(checkpoint), self._folder)

    def best_weights(self) -> Path | None:
        """Return the folder of the weights to keep, or None where the last ones are."""
        return self._folder if self._settings.keep == "best" and (self._folder / _STEP_FILE).is_file() else None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Evaluate after the last step too, wherever it falls."""
        if state.global_step >= state.max_steps and args.eval_strategy != "no":
            control.should_evaluate = True

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Keep the weights if they are the best so far, and end the training if they have not been for too long."""
        best_step, since = self._standing(state)
        if best_step == state.global_step and self._settings.keep == "best":
            self._save(best_step)
        if self._settings.patience is not None and since >= self._settings.patience:
            control.should_training_stop = True

    def _standing(self, state: TrainerState) -> tuple[int, int]:
        """Return the step of the best evaluation, and how many came after it."""
        best, best_step, since = float("inf"), 0, 0
        for row in state.log_history:
            if _LOSS not in row:
                continue
            if row[_LOSS] < best - self._settings.min_improvement:
                best, best_step, since = row[_LOSS], int(row["step"]), 0
            else:
                since += 1
        return best_step, since

    def _save(self, step: int) -> None:
        staged = self._folder.with_name(f".{self._folder.name}")
        self._trainer.save_model(str(staged))
        if self._trainer.is_world_process_zero():
            (staged / _STEP_FILE).write_text(json.dumps({"step": step}), encoding="utf-8")
            shutil.rmtree(self._folder, ignore_errors=True)
            os.replace(staged, self._folder)


def kept_best(checkpoint: Path) -> Path:
    """Return where a checkpoint holds the best weights so far: two folders deep, for the Trainer takes adapters one folder deep
    for more adapters to train."""
    return checkpoint / "kept" / "best"
