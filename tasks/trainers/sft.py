"""Supervised fine-tuning on answers: sequence-level distillation (Kim and Rush 2016, arXiv 1606.07947)."""

from typing import Any

from tasks.core.environment import has_cuda
from tasks.training.answer_trainer import AnswerTrainer
from tasks.training.job import TrainingJob
from tasks.training.session import run_answer_training


class SftTrainer(AnswerTrainer):
    """Cross-entropy with the answers' tokens."""

    def __init__(self, *args: Any, weighted: bool, **kwargs: Any) -> None:
        """Prepare the training.

        Args:
            args: As AnswerTrainer takes them.
            weighted: Whether rows differ in weight.
            kwargs: As AnswerTrainer takes them.
        """
        super().__init__(*args, **kwargs)
        self._by_trl = has_cuda() and not weighted

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss, as AnswerTrainer does: in training on CUDA by TRL's own kernels, where all rows weigh the same."""
        if self._by_trl and model.training:
            self._count(model, inputs)
            del inputs["weights"]
            return super(AnswerTrainer, self).compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)


def train(job: TrainingJob) -> bool:
    """Train as ``run_answer_training`` says."""
    return run_answer_training(job, SftTrainer, weighted=bool(job.settings.teacher_weights))
