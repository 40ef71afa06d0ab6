"""Answers out of a closed set: read exactly but for case, white space, quotes and a final full stop."""

from collections.abc import Sequence

from tasks.metrics.answer_line import ANSWER_MARKER, split_at_last
from tasks.metrics.answers import normalise_label

CORPUS_METRICS = ("macro_f1", "mcc")


def read_label(completion: str, labels: Sequence[str]) -> str | None:
    """Return the label that a completion is, alone or after ``Answer:``, as the labels spell it; None if it is none of them.

    Args:
        completion: What the model said.
        labels: The closed set; empty: any text is a label.
    """
    after = split_at_last(ANSWER_MARKER, completion)
    said = [normalise_label(text) for text in (*([after[1]] if after else []), completion)]
    if not labels:
        return said[0] or None
    spelled = {normalise_label(label): label for label in reversed(labels)}
    return next((spelled[label] for label in said if label in spelled), None)


def score_label(answer: str, references: Sequence[str]) -> dict[str, float]:
    """Return 1 for a label that is one of the references."""
    return {"accuracy": float(any(same_label(answer, reference) for reference in references))}


def same_label(one: str, other: str) -> bool:
    """Return whether two texts are the same label."""
    return normalise_label(one) == normalise_label(other)
