"""Only answers that say the same as a reference, where one is known."""

from collections.abc import Sequence

from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, PASSED, FilterSettings, Finding, Mode, RowFilter
from tasks.task_types import TASK_TYPES


class GoldAgreementSettings(FilterSettings):
    """Answers that none of the prompt's references agrees with."""

    mode: Mode = Field(default="annotate", description=MODES)

    open_tasks: bool = False
    """Judge open kinds of task too, in which an answer of other words may be as good."""


def reject_disagreement(settings: GoldAgreementSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``not_gold``, its score ``gold_agreement``: 1 or 0, and 0 for what cannot be read."""

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [judge(candidate) for candidate in candidates]

    def judge(candidate: Candidate) -> Finding:
        task_type = TASK_TYPES[candidate.task]
        if not candidate.references or (task_type.is_open and not settings.open_tasks):
            return PASSED
        answer = context.read(candidate.task, candidate.completion)
        golds = (context.read(candidate.task, reference) for reference in candidate.references)
        agrees = answer is not None and any(gold is not None and task_type.same(gold, answer) for gold in golds)
        return Finding(None if agrees else "not_gold", {"gold_agreement": float(agrees)})

    return look
