"""How good an answer is among others to the same prompt: what best-of selection goes by. One function a score.

A score takes all answers to one prompt and returns a number for each; the highest wins, the first of equals. To add one, write
the function, and its line in ``SCORES``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.metrics.answers import normalise_answer

ScoreName = Literal["reference", "agreement", "confidence"]


@dataclass(frozen=True)
class Contender:
    """One answer to a prompt."""

    answer: str
    reference: str | None
    mean_logprob: float | None
    """Mean natural log-probability of its tokens; None when none were kept."""


def by_reference(contenders: Sequence[Contender]) -> list[float]:
    """Return 1 for an answer that is the reference, else 0."""
    return [
        float(contender.reference is not None and normalise_answer(contender.answer) == normalise_answer(contender.reference))
        for contender in contenders
    ]


def by_agreement(contenders: Sequence[Contender]) -> list[float]:
    """Return the share of all answers that say the same: self-consistency (Wang et al. 2022, arXiv 2203.11171)."""
    said = [normalise_answer(contender.answer) for contender in contenders]
    counts = Counter(said)
    return [counts[answer] / len(said) for answer in said]


def by_confidence(contenders: Sequence[Contender]) -> list[float]:
    """Return the mean log-probability of an answer's tokens; comparable among samples of one teacher."""
    return [float("-inf") if contender.mean_logprob is None else contender.mean_logprob for contender in contenders]


SCORES: dict[ScoreName, Callable[[Sequence[Contender]], list[float]]] = {
    "reference": by_reference,
    "agreement": by_agreement,
    "confidence": by_confidence,
}
