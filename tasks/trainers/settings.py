"""Training settings, light enough for the flow's form, and the job that is handed to the training process."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from tasks.core.section import Section

Precision = Literal["auto", "float32", "bfloat16"]
Method = Literal["sft"]


class TrainingRuntime(Section):
    """How the training is run; no part of the result's identity."""

    device_batch_size: int | None = Field(default=None, ge=1)
    """Rows in one forward pass; smaller than `batch_size` saves memory; empty: the whole batch."""

    checkpoint_steps: int = Field(default=50, ge=1)
    """Steps between checkpoints; a killed training loses at most this many."""

    grace_seconds: float = Field(default=60, gt=0)
    """Time to write a checkpoint after a stop signal."""


class TrainingSettings(Section):
    """How a model is trained."""

    method: Method = "sft"
    """sft: supervised fine-tuning on the answers' text (sequence-level distillation)."""

    epochs: float = Field(default=3, gt=0)
    """Passes over the training rows."""

    learning_rate: float = Field(default=2e-5, gt=0, le=1)
    """Peak learning rate; LoRA wants about ten times that of full training."""

    batch_size: int = Field(default=16, ge=1)
    """Rows per optimiser step."""

    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps during which the learning rate rises."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""

    lora_rank: int | None = Field(default=None, ge=1)
    """Train low-rank adapters of this rank on all linear layers and merge them at the end; empty: train every weight."""

    lora_alpha: int = Field(default=32, ge=1)
    """Scale of the adapters' contribution: alpha / rank."""

    precision: Precision = "auto"
    """Number format of the matrix products; weights stay float32. auto: bfloat16 where the device computes in it."""

    seed: int = Field(default=42, ge=0)
    """Seed of the rows' order and of new weights."""

    runtime: TrainingRuntime = TrainingRuntime()
    """How the training is run; changing it re-uses finished work."""


class TrainingJob(BaseModel):
    """Everything the training process needs, as a JSON file."""

    settings: TrainingSettings
    examples: Path
    """Parquet file of examples."""
    weights: Path
    """Folder of the starting weights and tokenizer."""
    output: Path
    """Folder for the trained weights and tokenizer."""
    workspace: Path
    """Folder for checkpoints and metrics; survives a killed process."""

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.workspace / "checkpoints"

    @property
    def metrics(self) -> Path:
        """JSON Lines file of training metrics, one object a log."""
        return self.workspace / "metrics.jsonl"
