"""Whether a student keeps enough of its teacher's score: the condition that the gate turns on, and the items it takes to tell.

The student passes if the score test rejects, at 2.5 %, that it keeps less than the wanted share; it fails if the test rejects
that it keeps more; else the items are too few to tell. Over several tasks every one has to pass: an intersection-union test
(Berger 1982), whose error is that of its weakest task alone, so that nothing is corrected for the number of tasks.
"""

from math import ceil
from typing import Literal

import numpy as np

from tasks.metrics.score_intervals import contrast_statistic, critical_value

Outcome = Literal["pass", "fail", "inconclusive"]
_Z_LEVEL = 1.959963984540054
_Z_POWER = 0.8416212335729143


def judge_retained(student: np.ndarray, teacher: np.ndarray, wanted: float) -> Outcome:
    """Return whether a student's mean score is shown to be at least a share of its teacher's.

    Args:
        student: ``[items]`` in [0, 1].
        teacher: ``[items]``, of the same items.
        wanted: Share of the teacher's score.
    """
    if not np.any(teacher):
        return "inconclusive"
    statistic = _statistic(student, teacher, wanted)
    critical = critical_value(len(student))
    if statistic >= critical:
        return "pass"
    return "fail" if statistic <= -critical else "inconclusive"


def required_items(student: np.ndarray, teacher: np.ndarray, wanted: float) -> int | None:
    """Return how many items would decide with a power of 80 %, were the scores as they have been so far.

    The normal approximation for a score test: with ``d`` an item's student score less the wanted share of its teacher score,
    ``((1.96 * sd under the hypothesis + 0.84 * sd) / mean of d) ** 2`` (Nam and Blackwelder 2002, section 5).

    Returns:
        More than there are; None where the student is so exactly at the limit that no number would do.
    """
    contrast = np.asarray(student, dtype=float) - wanted * np.asarray(teacher, dtype=float)
    mean, items = contrast.mean(), len(contrast)
    statistic = _statistic(student, teacher, wanted)
    if abs(statistic) < 1e-6:
        return None
    deviation_at_limit = abs(mean) * items**0.5 / abs(statistic)
    needed = ((_Z_LEVEL * deviation_at_limit + _Z_POWER * contrast.std()) / mean) ** 2
    return max(ceil(needed), items + 1)


def _statistic(student: np.ndarray, teacher: np.ndarray, wanted: float) -> float:
    items = np.asarray([student, teacher], dtype=float)
    return float(contrast_statistic(items, np.array([[1.0, -wanted]]), np.zeros(1))[0])
