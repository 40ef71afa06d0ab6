"""SQuAD's scores of a short answer: exact match and F1 of its words (Rajpurkar et al. 2016, arXiv 1606.05250)."""

from collections import Counter
from collections.abc import Sequence

from tasks.metrics.answers import normalise_answer


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 for an answer that is one of the references once all are normalised, else 0."""
    return float(normalise_answer(answer) in {normalise_answer(reference) for reference in references})


def f1(answer: str, references: Sequence[str]) -> float:
    """Return the F1 of an answer's words against the reference that it shares most with; two empty texts are alike."""
    said = normalise_answer(answer).split()
    return max(_overlap(said, normalise_answer(reference).split()) for reference in references)


def _overlap(said: list[str], wanted: list[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    return 2 * sum((Counter(said) & Counter(wanted)).values()) / (len(said) + len(wanted))
