"""Distillation from candidates drawn from the teacher's distribution: sparse, and unbiased (RS-KD, Anshumann et al. 2025,
arXiv 2503.16870)."""

from torch import Tensor

from tasks.trainers.topk_kd import TopkTrainer
from tasks.training.divergences import sampled_cross_entropy
from tasks.training.job import TrainingJob
from tasks.training.session import run_answer_training


class SampledTrainer(TopkTrainer):
    """Cross-entropy with the drawn candidates, which has the gradient of the forward divergence on average.

    It lies above the divergence by the teacher's own entropy, which draws do not tell.
    """

    def divergence(self, log_q: Tensor, ids: Tensor, logprobs: Tensor) -> Tensor:
        """Return the cross-entropy with the draws at each position, in nats."""
        return sampled_cross_entropy(log_q, ids, logprobs)


def train(job: TrainingJob) -> bool:
    """Train as ``run_answer_training`` says."""
    return run_answer_training(job, SampledTrainer, distillation=job.settings.distillation)
