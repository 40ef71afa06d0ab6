"""Which test rows a metric is about: labels and free texts are scored differently, and one test may have both."""

from collections.abc import Sequence

from tasks.core.records import CLOSED_SET_TASKS, Prediction


def is_closed(task: str) -> bool:
    """Return whether a task's answers come from a closed set of labels."""
    return task in CLOSED_SET_TASKS


def rows_by_metric(rows: Sequence[Prediction]) -> dict[str, Sequence[Prediction]]:
    """Return the metrics that fit some predictions, each with the rows that it is computed over.

    Args:
        rows: One model's predictions, at least one.

    Returns:
        By name of the metric, the one that the verdict is about first: ``exact_match`` for free texts; for labels ``accuracy``
        and ``macro_f1``; for both of them ``accuracy`` over all rows, then ``macro_f1`` over the labels and ``exact_match``
        over the free texts.
    """
    closed = [row for row in rows if is_closed(row["task"])]
    free = [row for row in rows if not is_closed(row["task"])]
    chosen: dict[str, Sequence[Prediction]] = {"accuracy": rows, "macro_f1": closed} if closed else {}
    return {**chosen, "exact_match": free} if free else chosen
