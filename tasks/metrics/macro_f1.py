"""F1 averaged over the labels, so that rare labels count as much as frequent ones."""

from collections import Counter
from collections.abc import Sequence


def macro_f1(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return the unweighted mean of F1 over the labels that occur among the references.

    An answer outside the closed set counts against the recall of its reference and against no label's precision.

    Args:
        answers: Normalised answers, one an item.
        references: Normalised references, one an item, at least one.
    """
    right = Counter(answer for answer, reference in zip(answers, references, strict=True) if answer == reference)
    answered, wanted = Counter(answers), Counter(references)
    return sum(2 * right[label] / (answered[label] + wanted[label]) for label in wanted) / len(wanted)
