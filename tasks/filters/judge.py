"""Only answers that a judge thinks well of, by the scores that ``tasks/judging`` read."""

from collections.abc import Sequence

from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, Mode, RowFilter


class JudgeFilterSettings(FilterSettings):
    """Answers that a judge scored low, of 1 to 5. Needs `judge`; answers that it said nothing readable about pass."""

    mode: Mode = "off"
    """off: nobody is asked; annotate: scores are written down; drop: answers that are scored low are rejected."""

    min_score: float = Field(default=3.0, ge=1, le=5)
    """Least score; with log-probabilities it may lie between whole numbers."""


def reject_low_scores(settings: JudgeFilterSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``low_judge_score``, its score ``judge_score``. Without a judge it passes everything."""
    scores = context.judge_scores

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [judge(candidate) for candidate in candidates]

    def judge(candidate: Candidate) -> Finding:
        score = None if scores is None else scores.find(candidate.messages, candidate.text, candidate.completion)
        if score is None:
            return PASSED
        return Finding("low_judge_score" if score < settings.min_score else None, {"judge_score": score})

    return look
