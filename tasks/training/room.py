"""Whether a training fits on the very device that it is about to run on."""

import psutil
import torch

from tasks.core.environment import has_cuda
from tasks.preflight_checks.architecture import read_shape
from tasks.preflight_checks.memory import MemoryEstimate, estimate_training_bytes, require_memory
from tasks.training.job import TrainingJob
from tasks.training.settings import TEACHER_METHODS

_GIB = 1 << 30


def require_room(job: TrainingJob, max_tokens: int) -> MemoryEstimate:
    """Estimate the memory of a training before its weights are loaded.

    Args:
        job: The training.
        max_tokens: Longest row, prompt and answer.

    Raises:
        SettingsError: If the device has less.
    """
    teacher = read_shape(job.teacher) if job.teacher is not None and job.settings.method in TEACHER_METHODS else None
    estimate = estimate_training_bytes(read_shape(job.weights), job.settings, max_tokens, teacher, cuda=has_cuda())
    total = torch.cuda.mem_get_info()[1] if has_cuda() else psutil.virtual_memory().total
    require_memory(estimate, total / _GIB, job.settings)
    return estimate
