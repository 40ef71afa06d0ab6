"""Only answers out of the closed set, for tasks that have one."""

from collections.abc import Callable

from tasks.core.records import CLOSED_SET_TASKS
from tasks.filters.candidate import Candidate, FilterContext
from tasks.metrics.answers import normalise_label


def reject_unknown_labels(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``unknown_label``. Without labels, and for open tasks, it passes everything."""
    known = {normalise_label(label) for label in context.labels}

    def rule(candidate: Candidate) -> str | None:
        closed = known and candidate.task in CLOSED_SET_TASKS
        return "unknown_label" if closed and normalise_label(candidate.completion) not in known else None

    return rule
