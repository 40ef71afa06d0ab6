"""Rules that a teacher's answer must pass to be trained on, one rule a file.

A rule is made once a run from a ``FilterContext`` and then called with every candidate; it returns None, or the reason why the
candidate is rejected, in snake_case. Every rule sees every candidate, so that a rejected row carries all its reasons. To add a
rule: write its file, add its line to ``FILTERS``, and its test.
"""

from collections.abc import Callable

from tasks.filters.candidate import Candidate, FilterContext
from tasks.filters.empty import reject_empty
from tasks.filters.exact_duplicate import reject_exact_duplicates
from tasks.filters.finish_reason import reject_unfinished
from tasks.filters.label import reject_unknown_labels
from tasks.filters.length import reject_by_length

Rule = Callable[[Candidate], str | None]

FILTERS: dict[str, Callable[[FilterContext], Rule]] = {
    "finish_reason": reject_unfinished,
    "empty": reject_empty,
    "length": reject_by_length,
    "label": reject_unknown_labels,
    "exact_duplicate": reject_exact_duplicates,
}

__all__ = ["FILTERS", "Candidate", "FilterContext", "Rule"]
