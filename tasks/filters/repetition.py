"""Only answers that do not go round in circles."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter
from tasks.metrics.repetition import repeated_share


class RepetitionSettings(FilterSettings):
    """Answers that say the same words again and again."""

    max_repeated_share: float = Field(default=0.3, ge=0, le=1)
    """Largest share of an answer's words that may be part of four in a row that stood there before."""

    look_at: tuple[Literal["answer", "reasoning"], ...] = ("answer", "reasoning")
    """Which of a row's texts are looked at."""


def reject_repetition(settings: RepetitionSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``repetition``, its score ``repeated_share``, the largest of the texts looked at."""
    del context

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [judge(candidate) for candidate in candidates]

    def judge(candidate: Candidate) -> Finding:
        share = repeated_share(candidate.completion) if "answer" in settings.look_at else 0.0
        if "reasoning" in settings.look_at and candidate.reasoning:
            share = max(share, repeated_share(candidate.reasoning))
        if not share:
            return PASSED
        return Finding("repetition" if share > settings.max_repeated_share else None, {"repeated_share": share})

    return look
