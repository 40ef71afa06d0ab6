"""Mathematics: a problem with one right value, however it is written and whatever reasoning leads to it."""

from collections.abc import Sequence

from tasks.metrics.final_answer import final_answer
from tasks.metrics.numbers import same_value
from tasks.task_types.task_type import TaskType


def _read(completion: str, labels: Sequence[str]) -> str | None:
    del labels
    return final_answer(completion)


def _score(answer: str, references: Sequence[str]) -> dict[str, float]:
    wanted = [final_answer(reference) or reference for reference in references]
    return {"accuracy": float(any(same_value(reference, answer) for reference in wanted))}


math = TaskType(
    name="MATH",
    metric="accuracy",
    read=_read,
    score=_score,
    same=same_value,
    guidance="chain_of_thought",
    max_new_tokens=1024,
    min_examples=40,
)
