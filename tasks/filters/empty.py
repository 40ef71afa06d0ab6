"""Only answers that say something."""

from collections.abc import Callable

from tasks.filters.candidate import Candidate, FilterContext


def reject_empty(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``empty``."""
    del context
    return lambda candidate: None if candidate.completion.strip() else "empty"
