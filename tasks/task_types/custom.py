"""A task of the user's own, with a template and a metric of their own; without one, an answer must be one of the references."""

from collections.abc import Sequence

from tasks.metrics.squad import exact_match
from tasks.task_types.free_text import read_text, same_text
from tasks.task_types.task_type import TaskType


def _score(answer: str, references: Sequence[str]) -> dict[str, float]:
    return {"exact_match": exact_match(answer, references)}


custom = TaskType(name="custom", metric="exact_match", read=read_text, score=_score, same=same_text)
