"""How like the teacher's answers the others are: all that can be measured where many answers are right and nobody judges.

It is the quality that distillation asks for, agreement with the teacher, and no more than that: an answer in other words may be
as good. The teacher's answer stands as the one reference of BLEU and chrF++, which are otherwise what ``tasks/metrics`` has.
"""

import numpy as np

from tasks.comparing.items import Items
from tasks.metrics import CORPUS_METRICS
from tasks.metrics.chrf import chrf
from tasks.metrics.intervals import Interval, resampled
from tasks.metrics.score_intervals import mean_interval
from tasks.renderers.schema import ModelName

LIKENESS = "chrf"
"""The measure that the gate goes by: the mean over the items of an answer's chrF++ against the teacher's."""


def compare_with_teacher(items: Items) -> dict[str, dict[ModelName, Interval]]:
    """Return chrF++ and BLEU of every other model's answers against the teacher's, each in [0, 1], by measure and model.

    Args:
        items: Test items of one task; those that the teacher has no valid answer to are left out.

    Returns:
        ``chrf``, the mean of single answers, and ``bleu`` of all answers together; nothing where no item is left. A model's
        invalid answer is like nothing.
    """
    items = items.where(row["answer"] is not None for row in items.rows["teacher"])
    if not len(items):
        return {}
    references = [[row["answer"] or ""] for row in items.rows["teacher"]]
    answers: dict[ModelName, list[str | None]] = {
        model: [row["answer"] for row in rows] for model, rows in items.rows.items() if model != "teacher"
    }
    return {
        LIKENESS: {model: mean_interval(_single(given, references)) for model, given in answers.items()},
        "bleu": {model: resampled(given, references, CORPUS_METRICS["bleu"]) for model, given in answers.items()},
    }


def _single(answers: list[str | None], references: list[list[str]]) -> np.ndarray:
    pairs = zip(answers, references, strict=True)
    return np.array([0.0 if answer is None else chrf(answer, reference) for answer, reference in pairs])
