"""Agreement of two models beyond what their habits alone would give."""

from collections import Counter
from collections.abc import Sequence


def cohen_kappa(first: Sequence[str | None], second: Sequence[str | None]) -> float | None:
    """Return Cohen's kappa (1960, doi 10.1177/001316446002000104) of two models' canonical labels, in [-1, 1].

    Args:
        first: One model's answers, at least one; None, an invalid answer, is one more label.
        second: The other's, item by item.

    Returns:
        1 is agreement on every item, 0 what chance gives; None where both always say the same one label.
    """
    items = len(first)
    agreed = sum(one == other for one, other in zip(first, second, strict=True)) / items
    ours, theirs = Counter(first), Counter(second)
    expected = sum(count * theirs[label] for label, count in ours.items()) / items**2
    return None if expected == 1 else (agreed - expected) / (1 - expected)
