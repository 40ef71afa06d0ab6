"""Share of answers that equal their reference."""

from collections.abc import Sequence


def accuracy(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return the share of items whose normalised answer equals its normalised reference.

    Args:
        answers: Normalised answers, one an item.
        references: Normalised references, one an item, at least one.
    """
    return sum(answer == reference for answer, reference in zip(answers, references, strict=True)) / len(references)
