"""The filters of a curation, made from its settings and inputs, for whoever does all of it or filters a span of the rows."""

from tasks.core.artifact import Artifact, read_record
from tasks.core.records import PROMPTS
from tasks.core.tables import read_table
from tasks.core.weights import locate_weights
from tasks.curating.step import Step
from tasks.curating.student_tokens import StudentTokens
from tasks.filters import FilterContext
from tasks.filters.interface import FilterKind
from tasks.filters.near_duplicates.candidates import FindPairs, pairs_here
from tasks.filters.settings import FiltersSettings
from tasks.judging.scoring import judge_scores


def filter_context(
    prompts: Artifact, student: Artifact, judgements: Artifact | None, find_pairs: FindPairs = pairs_here
) -> FilterContext:
    """Return what the filters share; the arguments are those of ``curate``."""
    weights = locate_weights(student)
    return FilterContext(
        labels=tuple(read_record(prompts).summary["labels"]),
        count_tokens=StudentTokens(weights),
        test_prompts=lambda: (row for row in read_table(prompts, PROMPTS) if row["split"] == "test"),
        judge_scores=None if judgements is None else judge_scores(judgements),
        student_weights=weights,
        find_pairs=find_pairs,
    )


def make_steps(
    kinds: dict[str, FilterKind], settings: FiltersSettings, context: FilterContext, are_references: bool
) -> list[Step]:
    """Return the filters that have something to do, in order.

    Args:
        kinds: ``ROW_FILTERS`` or ``SET_FILTERS``.
        settings: Those of all filters.
        context: What they share.
        are_references: Nobody's answers are to be judged: the user's own references stand in their place.
    """
    steps: list[Step] = []
    for name, kind in kinds.items():
        own = getattr(settings, name)
        if own.mode != "off" and not (are_references and kind.judges_teacher):
            steps.append(Step(name=name, mode=own.mode, look=kind.make(own, context), wanted=kind.wanted, repeats=kind.repeats))
    return steps
