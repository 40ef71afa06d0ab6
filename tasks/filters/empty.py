"""Only answers that say something."""

from collections.abc import Sequence

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter


class EmptySettings(FilterSettings):
    """Answers of white space alone."""


def reject_empty(settings: EmptySettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``empty``."""
    del settings, context

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [PASSED if candidate.completion.strip() else Finding("empty") for candidate in candidates]

    return look
