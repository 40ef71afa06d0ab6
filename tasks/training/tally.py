"""How far a training is, for the journal of its attempt: optimiser steps that it logged, and those that a checkpoint holds."""

from pathlib import Path

from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import Figures
from tasks.training.checkpoints.local import local_checkpoints
from tasks.training.checkpoints.manifest import MANIFEST

STEPS = "steps"
"""What a training's journal counts."""


class StepTally:
    """Begins the journal at the step that the training goes on from, and counts from there."""

    def __init__(self, journal: AttemptJournal, checkpoints: Path) -> None:
        """Name what is told, and what is looked at.

        Args:
            journal: The attempt's.
            checkpoints: Folder of the training's checkpoints; those that are not its own are set aside before its first step.
        """
        self._journal, self._checkpoints = journal, checkpoints
        self._step: int | None = None

    def take(self, step: int) -> None:
        """Take in a step that the training logged, in order."""
        is_first, self._step = self._step is None, step
        if is_first:
            self._journal.begin(self.figures, is_working=True)

    def figures(self) -> Figures:
        """Return the newest step that is known of, and that of the newest sealed checkpoint."""
        whole = (folder for folder in local_checkpoints(self._checkpoints) if (folder / MANIFEST).is_file())
        sealed = next((int(folder.name.rpartition("-")[2]) for folder in whole), 0)
        return Figures(max(self._step or 0, sealed), sealed)
