"""The job that is handed to the training process, and where its files are."""

from pathlib import Path

from pydantic import BaseModel

from tasks.core.fingerprint import fingerprint
from tasks.training.settings import TrainingSettings

WARNING = "training: "
"""How a line of the training process's log begins that the user should see."""


class TrainingJob(BaseModel):
    """Everything the training process needs, as a JSON file."""

    settings: TrainingSettings
    examples: Path
    """Parquet file of examples."""
    weights: Path
    """Folder of the starting weights and tokenizer."""
    teacher: Path | None = None
    """Folder of the teacher's weights, for methods that hold it in memory."""
    output: Path
    """Folder for the trained weights and tokenizer."""
    workspace: Path
    """Folder for checkpoints and metrics; survives a killed process."""

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with to be resumed from: the settings that decide the course of the training."""
        return fingerprint({"settings": self.settings.identity(), "sharding": self.settings.runtime.sharding})

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.workspace / "checkpoints"

    @property
    def encoded(self) -> Path:
        """Folder of the rows as tokens."""
        return self.workspace / "encoded"

    @property
    def best(self) -> Path:
        """Folder of the best weights so far."""
        return self.workspace / "best"

    @property
    def status(self) -> Path:
        """JSON file in which the training says how it ended: ``finished`` or ``stopped``."""
        return self.workspace / "status.json"

    @property
    def metrics(self) -> Path:
        """JSON Lines file of training metrics, one object a log."""
        return self.workspace / "metrics.jsonl"

    @property
    def findings(self) -> Path:
        """JSON file of what the training found out for the record: rows that were cut or set aside, precision, kernels."""
        return self.workspace / "findings.json"
