"""Answers in words of the model's own: everything that is said counts."""

from collections.abc import Sequence

from tasks.metrics.answers import normalise_answer


def read_text(completion: str, labels: Sequence[str]) -> str | None:
    """Return a completion without white space around it; None if there is nothing else."""
    del labels
    return completion.strip() or None


def same_text(one: str, other: str) -> bool:
    """Return whether two texts are the same but for case, punctuation, articles and white space."""
    return normalise_answer(one) == normalise_answer(other)
