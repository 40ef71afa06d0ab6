"""Answers in words of the model's own: everything that is said counts."""

from collections.abc import Sequence

from tasks.metrics.answers import normalise_answer
from tasks.metrics.numbers import as_fraction


def read_text(completion: str, labels: Sequence[str]) -> str | None:
    """Return a completion without white space around it; None if there is nothing else."""
    del labels
    return completion.strip() or None


def same_text(one: str, other: str) -> bool:
    """Return whether two texts are the same but for case, punctuation, articles and white space.

    Numbers are compared by value, for punctuation makes them; and texts that are nothing but punctuation or articles, such as the
    signs + and - or an option A, as they stand.
    """
    values = as_fraction(one), as_fraction(other)
    if None not in values:
        return values[0] == values[1]
    words = normalise_answer(one), normalise_answer(other)
    return words[0] == words[1] if any(words) else one.casefold().split() == other.casefold().split()
