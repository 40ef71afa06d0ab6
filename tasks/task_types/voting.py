"""What several answers to one question agree on: self-consistency (Wang et al. 2022, arXiv 2203.11171)."""

from collections import Counter
from collections.abc import Sequence

from tasks.core.records import Prediction
from tasks.task_types.task_type import TaskType


def count_votes(task: TaskType, answers: Sequence[str | None]) -> dict[str, int]:
    """Return how many answers say the same as each of them, in the order in which these first occur.

    Args:
        task: Tells which answers say the same.
        answers: As the task type reads them; None, an invalid one, votes for nothing.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    return {one: sum(votes[other] for other in votes if one == other or task.same(one, other)) for one in votes}


def majority(task: TaskType, answers: Sequence[str | None]) -> str | None:
    """Return the answer that most agree with, of several such the one that was given first; None if all are invalid."""
    votes = count_votes(task, answers)
    return max(votes, key=votes.__getitem__, default=None)


def with_vote(row: Prediction, task: TaskType, answers: Sequence[str | None]) -> Prediction:
    """Return a row with one more score, ``maj@k``: the task's primary metric of what most of k sampled answers say.

    Args:
        row: The scored answer to the same prompt.
        task: The type of its task.
        answers: k sampled answers, as the task type reads them.
    """
    if not row["scores"]:
        return row
    voted = majority(task, answers)
    value = 0.0 if voted is None else task.score(voted, row["references"])[task.metric]
    return {**row, "scores": [*row["scores"], (f"maj@{len(answers)}", value)]}
