"""Distillation from the stored likeliest candidates of the teacher, beside cross-entropy with its tokens.

The loss of a position is ``weight * temperature^2 * divergence + (1 - weight) * cross-entropy`` (Hinton et al. 2015, arXiv
1503.02531), the divergence being over the candidates and what lies beyond them.
"""

from typing import Any

import torch
from torch import Tensor

from tasks.core.logprobs import NO_PROBABILITY
from tasks.training.answer_trainer import AnswerTrainer
from tasks.training.divergences import sparse_divergence
from tasks.training.job import TrainingJob
from tasks.training.session import run_answer_training
from tasks.training.settings import DistillationSettings


class TopkTrainer(AnswerTrainer):
    """Follows the teacher's candidates at every answer token; positions without candidates count as cross-entropy alone."""

    def __init__(self, *args: Any, distillation: DistillationSettings, **kwargs: Any) -> None:
        """Prepare the training.

        Args:
            args: As AnswerTrainer takes them.
            distillation: How the teacher is followed.
            kwargs: As AnswerTrainer takes them.
        """
        super().__init__(*args, **kwargs)
        self._distillation = distillation

    def loss_of(self, logits: Tensor, targets: Tensor, extras: dict[str, Tensor], sums: dict[str, Tensor]) -> Tensor:
        """Return the mixed loss of each position; both parts are logged in nats per answer token, before they are weighted."""
        settings = self._distillation
        log_q = torch.log_softmax(logits, dim=-1)
        cross_entropy = -log_q.gather(-1, targets[:, None]).squeeze(-1)
        softened = log_q if settings.temperature == 1 else torch.log_softmax(logits / settings.temperature, dim=-1)
        divergence = self.divergence(softened, extras["top_ids"], extras["top_logprobs"])
        sums["ce_loss"] = sums.get("ce_loss", 0) + cross_entropy.detach().sum()
        sums["kd_loss"] = sums.get("kd_loss", 0) + divergence.detach().sum()
        mixed = settings.weight * settings.temperature**2 * divergence + (1 - settings.weight) * cross_entropy
        return torch.where(extras["top_logprobs"][:, 0] > NO_PROBABILITY, mixed, cross_entropy)

    def divergence(self, log_q: Tensor, ids: Tensor, logprobs: Tensor) -> Tensor:
        """Return how far the student is from the teacher at each position, in nats.

        Args:
            log_q: The student's log-probabilities, [n, vocabulary].
            ids: The teacher's candidates, [n, width].
            logprobs: Their log-probabilities, [n, width].
        """
        return sparse_divergence(log_q, ids, logprobs, self._distillation)


def train(job: TrainingJob) -> bool:
    """Train as ``run_answer_training`` says."""
    return run_answer_training(job, TopkTrainer, distillation=job.settings.distillation)
