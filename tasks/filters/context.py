"""What the filters of a run share: the labels, the student's tokens, what to keep away from, and how answers are read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from tasks.core.records import Prompt
from tasks.filters.interface import TokenCounter
from tasks.filters.near_duplicates.candidates import FindPairs, pairs_here
from tasks.judging.scoring import Scores
from tasks.task_types import TASK_TYPES

_LABELS_REMEMBERED = 65_536


@dataclass(frozen=True)
class FilterContext:
    """What the filters of a run share."""

    labels: Sequence[str] = ()
    """The closed set of the prompts artefact; empty: there is none."""
    count_tokens: TokenCounter | None = None
    """Counts in the student's tokens; None: nothing is counted."""
    test_prompts: Callable[[], Iterable[Prompt]] = tuple
    """Yields the prompts of the test split, which nothing that is trained on may repeat."""
    judge_scores: Scores | None = None
    """What a judge scored; None: nobody judged."""
    student_weights: Path | None = None
    """Folder of the weights of the model that will be trained; None: there is none."""
    find_pairs: FindPairs = pairs_here
    """Finds pairs of rows that may be near duplicates, here or elsewhere."""

    def read(self, task: str, text: str) -> str | None:
        """Return the canonical answer of a completion or reference; None if it is none of its kind of task."""
        if TASK_TYPES[task].is_closed:
            return self._read_label(task, text)
        return TASK_TYPES[task].read(text, self.labels)

    @cached_property
    def _read_label(self) -> Callable[[str, str], str | None]:
        return lru_cache(_LABELS_REMEMBERED)(lambda task, text: TASK_TYPES[task].read(text, self.labels))
