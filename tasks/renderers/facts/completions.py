"""What the models said to the same prompts, and of which kind each case is."""

from typing import Literal, NamedTuple

from tasks.renderers.schema import ModelName, Report, SideBySide
from tasks.renderers.tables import present

_NOTICEABLE = 0.1
"""Scores that differ by less are alike; right and wrong differ by 1."""

Kind = Literal["worse", "better", "alike"]


class Said(NamedTuple):
    """One model's completion."""

    model: ModelName
    completion: str
    score: float | None

    @property
    def mark(self) -> str:
        """The score in a word where there is one for it."""
        if self.score is None:
            return "not scored"
        return {1.0: "right", 0.0: "wrong"}.get(self.score, f"{self.score:.2f}")


class Case(NamedTuple):
    """One test prompt."""

    item: SideBySide
    kind: Kind
    said: list[Said]


def cases(report: Report) -> list[Case]:
    """Return the test prompts that are shown, in the report's order."""
    return [
        Case(item, kind_of(item), [_said(item, model) for model in present(item.completions)]) for item in report.side_by_side
    ]


def kind_of(item: SideBySide) -> Kind:
    """Return whether the student did noticeably worse or better than the teacher."""
    student, teacher = item.scores.get("student"), item.scores.get("teacher")
    if student is None or teacher is None or abs(student - teacher) < _NOTICEABLE:
        return "alike"
    return "worse" if student < teacher else "better"


def _said(item: SideBySide, model: ModelName) -> Said:
    return Said(model, item.completions[model], item.scores.get(model))
