"""Rows of several teachers: their weights, and one row for an answer that several gave token by token."""

from collections import Counter
from collections.abc import Callable, Iterator

from tasks.core.fingerprint import fingerprint
from tasks.core.records import Example
from tasks.training.settings import TrainingSettings
from tasks.training.teacher_mixture import combine_distributions


def weighted_rows(read: Callable[[], Iterator[Example]], settings: TrainingSettings) -> Iterator[tuple[Example, float]]:
    """Yield each row with its weight in the loss: that of its teacher.

    Args:
        read: Reads the rows from the start.
        settings: The teachers' weights.
    """
    for row in read():
        yield row, _weight(row, settings)


def combined_rows(read: Callable[[], Iterator[Example]], settings: TrainingSettings) -> Iterator[tuple[Example, float]]:
    """Yield rows like ``weighted_rows``, with one row for all teachers that gave the same answer to the same prompt.

    Its candidates are the weighted mean of theirs, its weight the sum of theirs. With the forward divergence and the same
    candidates, training on it has the gradient of training on each of their rows, in one forward pass.

    Args:
        read: Reads the rows from the start; they have the teachers' candidates.
        settings: The teachers' weights.
    """
    sizes = Counter(_answer(row) for row in read() if row["token_ids"])
    waiting: dict[str, list[Example]] = {}
    for row in read():
        answer = _answer(row)
        if sizes[answer] <= 1:
            yield row, _weight(row, settings)
            continue
        group = waiting.setdefault(answer, [])
        group.append(row)
        if len(group) == sizes[answer]:
            yield _combine(waiting.pop(answer), settings)


def _combine(rows: list[Example], settings: TrainingSettings) -> tuple[Example, float]:
    weights = [_weight(row, settings) for row in rows]
    distributions = [(row["top_ids"], row["top_logprobs"]) for row in rows if "top_ids" in row and "top_logprobs" in row]
    ids, logprobs = combine_distributions(distributions, weights, distributions[0][0].shape[1])
    return {**rows[0], "top_ids": ids, "top_logprobs": logprobs}, sum(weights)


def _answer(row: Example) -> str:
    return fingerprint([row["id"], row["split"], [dict(message) for message in row["messages"]], list(row["token_ids"])])


def _weight(row: Example, settings: TrainingSettings) -> float:
    return settings.teacher_weights.get(row["teacher"] or "", 1.0)
