"""Only answers out of the closed set, for tasks that have one."""

from collections.abc import Callable

from tasks.filters.candidate import Candidate, FilterContext
from tasks.task_types import TASK_TYPES


def reject_unknown_labels(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``unknown_label``. Without labels, and for open tasks, it passes everything."""

    def rule(candidate: Candidate) -> str | None:
        task = TASK_TYPES[candidate.task]
        closed = context.labels and task.is_closed
        return "unknown_label" if closed and task.read(candidate.completion, context.labels) is None else None

    return rule
