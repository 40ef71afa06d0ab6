"""From what a model said to its scores: of one answer, and of all answers of a task."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from tasks.core.records import Prediction, Prompt
from tasks.metrics import CORPUS_METRICS
from tasks.metrics.repetition import is_repetitive
from tasks.task_types import TASK_TYPES, TaskType


def score_answer(
    task: TaskType, item: Prompt, labels: Sequence[str], completion: str, finish_reason: str, tokens: int, failed: bool
) -> Prediction:
    """Read and score one answer.

    Args:
        task: The type of the prompt's task.
        item: The test prompt.
        labels: The closed set, for the types that have one.
        completion: What the model said.
        finish_reason: Why it stopped.
        tokens: Tokens that it said.
        failed: There is no answer, whatever the completion is.

    Returns:
        The row. An invalid or failed answer scores 0 in every metric; without references there are no scores.
    """
    references = item["references"]
    answer = None if failed else task.read(completion, labels)
    scores = task.score(answer or "", references) if references else {}
    return Prediction(
        id=item["id"],
        task=item["task"],
        completion=completion,
        answer=answer,
        references=references,
        scores=[(name, 0.0 if answer is None else value) for name, value in scores.items()],
        finish_reason=finish_reason,
        completion_tokens=tokens,
    )


def primary_score(row: Prediction) -> float | None:
    """Return the score that the verdict is about, in [0, 1]; None where only a judge can tell."""
    return dict(row["scores"]).get(TASK_TYPES[row["task"]].metric)


def summarise_tasks(rows: Sequence[Prediction]) -> dict[str, dict[str, Any]]:
    """Return items, metrics and rates of each task, in the order in which the tasks occur."""
    by_task: dict[str, list[Prediction]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    return {name: _summary(TASK_TYPES[name], given) for name, given in by_task.items()}


def _summary(task: TaskType, rows: Sequence[Prediction]) -> dict[str, Any]:
    scored = [row for row in rows if row["scores"]]
    scores = [dict(row["scores"]) for row in scored]
    metrics = {name: fmean(each[name] for each in scores) for name in (scores[0] if scores else ())}
    signatures: dict[str, str] = {}
    for name in task.corpus_metrics if scored else ():
        metric, references = CORPUS_METRICS[name], [row["references"] for row in scored]
        metrics[name] = metric([row["answer"] for row in scored], references)
        if metric.signature is not None:
            signatures[name] = metric.signature(references)
    rates = {
        "invalid": fmean(row["answer"] is None for row in rows),
        "truncated": fmean(row["finish_reason"] == "length" for row in rows),
        "repeated": fmean(is_repetitive(row["completion"]) for row in rows),
    }
    found = {"items": len(rows), "metric": task.metric, "metrics": metrics, "rates": rates}
    return found | ({"signatures": signatures} if signatures else {})
