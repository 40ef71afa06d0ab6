"""Questions with a short answer, out of a context or out of what the model knows."""

from collections.abc import Sequence

from tasks.metrics.answer_line import ANSWER_MARKER, split_at_last
from tasks.metrics.squad import exact_match, f1
from tasks.task_types.free_text import same_text
from tasks.task_types.task_type import TaskType


def _read(completion: str, labels: Sequence[str]) -> str | None:
    """Return what stands after ``Answer:``, or else all that was said; None if that is nothing."""
    del labels
    after = split_at_last(ANSWER_MARKER, completion)
    return (after[1] if after else completion.strip()) or None


def _score(answer: str, references: Sequence[str]) -> dict[str, float]:
    return {"f1": f1(answer, references), "exact_match": exact_match(answer, references)}


nlu_qa = TaskType(
    name="NLU_QA", metric="f1", read=_read, score=_score, same=same_text, guidance="chain_of_thought", max_new_tokens=128
)
