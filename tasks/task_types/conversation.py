"""Conversation: the next turn of a dialogue. Many answers are right, and a reference is but one of them."""

from collections.abc import Sequence

from tasks.metrics.chrf import chrf
from tasks.task_types.free_text import read_text, same_text
from tasks.task_types.task_type import TaskType


def _score(answer: str, references: Sequence[str]) -> dict[str, float]:
    """Return nothing without references: only a judge can tell then."""
    return {"chrf": chrf(answer, references)} if references else {}


conversation = TaskType(
    name="CONVERSATION",
    metric="chrf",
    read=read_text,
    score=_score,
    same=same_text,
    corpus_metrics=("bleu", "corpus_chrf"),
    is_open=True,
    needs_references=False,
)
