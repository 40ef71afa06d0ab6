"""Only answers that the teacher ended by itself: one cut off in the middle teaches the student never to stop."""

from collections.abc import Callable

from tasks.filters.candidate import Candidate, FilterContext


def reject_unfinished(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reasons are ``finish_`` and the finish reason: finish_length, finish_repetition, ..."""
    del context
    return lambda candidate: None if candidate.finish_reason == "stop" else f"finish_{candidate.finish_reason}"
