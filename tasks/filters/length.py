"""Only rows that fit the student's training length, counted in the student's own tokens: a cut-off row trains the wrong end."""

from collections.abc import Callable

from tasks.filters.candidate import Candidate, FilterContext


def reject_by_length(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``too_long``."""

    def rule(candidate: Candidate) -> str | None:
        if context.max_length_tokens is None:
            return None
        return "too_long" if sum(context.count_tokens(candidate)) > context.max_length_tokens else None

    return rule
