"""How good an answer is among others to the same prompt: what best-of selection goes by. One function a score.

A score takes all answers to one prompt and returns a number for each; the highest wins, the first of equals. To add one, write
the function, and its line in ``SCORES``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.task_types import TASK_TYPES

ScoreName = Literal["reference", "agreement", "confidence"]


@dataclass(frozen=True)
class Contender:
    """One answer to a prompt."""

    task: str
    answer: str
    references: Sequence[str]
    mean_logprob: float | None
    """Mean natural log-probability of its tokens; None when none were kept."""
    labels: Sequence[str] = ()
    """The closed set of the prompts; empty: there is none."""

    def read(self) -> str | None:
        """Return the answer as the task type reads it; None: invalid."""
        return TASK_TYPES[self.task].read(self.answer, self.labels)


def by_reference(contenders: Sequence[Contender]) -> list[float]:
    """Return an answer's score by the primary metric of its task type; 0 without references."""
    scores: list[float] = []
    for contender in contenders:
        task, answer = TASK_TYPES[contender.task], contender.read()
        scored = task.score(answer, contender.references) if answer is not None and contender.references else {}
        scores.append(scored.get(task.metric, 0.0))
    return scores


def by_agreement(contenders: Sequence[Contender]) -> list[float]:
    """Return the share of all answers that say the same: self-consistency (Wang et al. 2022, arXiv 2203.11171).

    Whether two say the same is the task type's to tell; an invalid answer says what no other says.
    """
    said = [contender.read() for contender in contenders]
    return [
        sum(_agree(contender.task, answer, other) for other in said) / len(said)
        for contender, answer in zip(contenders, said, strict=True)
    ]


def _agree(task: str, answer: str | None, other: str | None) -> bool:
    return answer is not None and other is not None and TASK_TYPES[task].same(answer, other)


def by_confidence(contenders: Sequence[Contender]) -> list[float]:
    """Return the mean log-probability of an answer's tokens; comparable among samples of one teacher."""
    return [float("-inf") if contender.mean_logprob is None else contender.mean_logprob for contender in contenders]


SCORES: dict[ScoreName, Callable[[Sequence[Contender]], list[float]]] = {
    "reference": by_reference,
    "agreement": by_agreement,
    "confidence": by_confidence,
}
