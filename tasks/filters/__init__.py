"""Filters of the teacher's answers, one a file: what speaks against a row as a training example.

Row filters look at every candidate by itself, a batch at a time; every one of them sees every candidate, so that a rejected row
carries all its reasons. Set filters come after them and compare the candidates that were kept. Both are made once a run, from
their settings and the ``FilterContext``, and are listed in the order of their work: the cheapest first.

To add a filter: write its file with its settings, add its line to ``ROW_FILTERS`` or ``SET_FILTERS`` and a field of the same
name to ``FiltersSettings``, and write its test.
"""

from tasks.filters.balance import reject_surplus
from tasks.filters.best_n import reject_all_but_the_best
from tasks.filters.candidate import Candidate
from tasks.filters.confidence import reject_unsure
from tasks.filters.context import FilterContext
from tasks.filters.decontamination import reject_contaminated
from tasks.filters.diversity import reject_least_diverse
from tasks.filters.empty import reject_empty
from tasks.filters.exact_duplicate import reject_exact_duplicates
from tasks.filters.finish_reason import reject_unfinished
from tasks.filters.gold_agreement import reject_disagreement
from tasks.filters.interface import FilterKind
from tasks.filters.judge import reject_low_scores
from tasks.filters.language import reject_other_languages
from tasks.filters.length import reject_by_length
from tasks.filters.near_duplicate import reject_near_duplicates
from tasks.filters.pii import reject_personal_data
from tasks.filters.refusal import reject_refusals
from tasks.filters.repetition import reject_repetition
from tasks.filters.self_consistency import reject_minorities
from tasks.filters.semantic_duplicate import reject_semantic_duplicates
from tasks.filters.validity import reject_invalid

ROW_FILTERS: dict[str, FilterKind] = {
    "finish_reason": FilterKind(reject_unfinished, judges_teacher=True),
    "empty": FilterKind(reject_empty),
    "confidence": FilterKind(reject_unsure, judges_teacher=True),
    "validity": FilterKind(reject_invalid),
    "gold_agreement": FilterKind(reject_disagreement, judges_teacher=True),
    "refusal": FilterKind(reject_refusals, judges_teacher=True),
    "repetition": FilterKind(reject_repetition),
    "language": FilterKind(reject_other_languages),
    "pii": FilterKind(reject_personal_data),
    "judge": FilterKind(reject_low_scores, judges_teacher=True),
    "length": FilterKind(reject_by_length),
}
SET_FILTERS: dict[str, FilterKind] = {
    "decontamination": FilterKind(reject_contaminated),
    "self_consistency": FilterKind(reject_minorities, judges_teacher=True),
    "exact_duplicate": FilterKind(reject_exact_duplicates, repeats=True),
    "near_duplicate": FilterKind(reject_near_duplicates, repeats=True),
    "semantic_duplicate": FilterKind(reject_semantic_duplicates),
    "best_n": FilterKind(reject_all_but_the_best, judges_teacher=True, wanted=True),
    "diversity": FilterKind(reject_least_diverse, wanted=True),
    "balance": FilterKind(reject_surplus, wanted=True),
}

__all__ = ["ROW_FILTERS", "SET_FILTERS", "Candidate", "FilterContext"]
