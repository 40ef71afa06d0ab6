"""A task of the user's own: the prompts' template and the evaluation's metric say what it is."""

from dataclasses import replace

from tasks.metrics.custom import AnswerMetric
from tasks.task_types.free_text import read_text, same_text
from tasks.task_types.task_type import TaskType

_METRIC = "custom"


def custom_type(metric: AnswerMetric) -> TaskType:
    """Return the type with a metric of the user's own, which is never asked about an empty answer: that is invalid."""
    return replace(custom, score=lambda answer, references: {_METRIC: metric(answer, references) if answer else 0.0})


custom = TaskType(
    name="custom",
    metric=_METRIC,
    read=read_text,
    score=lambda answer, references: {_METRIC: float(any(same_text(answer, reference) for reference in references))},
    same=same_text,
)
