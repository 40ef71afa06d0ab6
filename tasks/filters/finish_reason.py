"""Only answers that the teacher ended by itself: one cut off in the middle teaches the student never to stop."""

from collections.abc import Sequence

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter


class FinishReasonSettings(FilterSettings):
    """Answers that did not end by themselves."""


def reject_unfinished(settings: FinishReasonSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reasons are ``finish_`` and the finish reason: finish_length, finish_repetition, ..."""
    del settings, context

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [
            PASSED if candidate.finish_reason == "stop" else Finding(f"finish_{candidate.finish_reason}")
            for candidate in candidates
        ]

    return look
