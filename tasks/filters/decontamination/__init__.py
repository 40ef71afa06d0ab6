"""Rows that repeat what models are tested on: the recipe's own test prompts, and evaluation sets that are named."""

from typing import Any

import numpy as np
from pydantic import Field

from tasks.filters.context import FilterContext
from tasks.filters.decontamination.evaluation_sets import EvaluationSetSettings, read_evaluation_sets
from tasks.filters.decontamination.index import HeldOutIndex, needs_sample
from tasks.filters.decontamination.tally import (
    MAX_COVERAGE,
    MAX_TEMPLATE_SHARE,
    NGRAM_WORDS,
    ContaminationTally,
    held_out_prompts,
    sampled_rows,
)
from tasks.filters.interface import CandidateSet, FilterSettings, SetFilter, SetFindings


class DecontaminationSettings(FilterSettings):
    """Rows that repeat a test prompt, in their prompt or their answer."""

    ngram_words: int = Field(default=NGRAM_WORDS, ge=3)
    """Words that a row and a test prompt must have in common in a row. Test prompts of fewer words are compared whole."""

    max_coverage: float = Field(default=MAX_COVERAGE, ge=0, le=1)
    """A row that covers a larger share of a test prompt's words with such runs repeats it."""

    max_template_share: float = Field(default=MAX_TEMPLATE_SHARE, gt=0, le=1)
    """Runs of words that more than this share of the test prompts have belong to their template and do not count; where these are
    too few to tell, some training prompts are looked at too."""

    evaluation_sets: dict[str, EvaluationSetSettings] = Field(default={})
    """Further sets by name, such as public benchmarks, whose prompts must not be repeated either."""

    @property
    def leaves_nothing(self) -> bool:
        """Whether the filter drops whatever ``count_contamination``, which knows the test split only, would count."""
        return (
            self.mode == "drop"
            and not self.evaluation_sets
            and (self.ngram_words, self.max_template_share) == (NGRAM_WORDS, MAX_TEMPLATE_SHARE)
            and self.max_coverage <= MAX_COVERAGE
        )

    def identity(self) -> dict[str, Any]:
        """Return the settings with the evaluation sets' contents in the place of their sources."""
        return {**super().identity(), "evaluation_sets": {name: each.identity() for name, each in self.evaluation_sets.items()}}


def reject_contaminated(settings: DecontaminationSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``contaminated``, its score ``test_coverage``: the largest share of any test prompt's words
    that the row covers."""

    def look(rows: CandidateSet) -> SetFindings:
        items = [*held_out_prompts(context.test_prompts()), *read_evaluation_sets(settings.evaluation_sets)]
        sample = _sample(rows) if needs_sample(items, settings.max_template_share) else ()
        index = HeldOutIndex(items, settings.ngram_words, settings.max_template_share, sample)
        tally = ContaminationTally(index, settings.max_coverage)
        coverages = np.zeros(len(rows))
        for numbers, candidates in rows.batches():
            prompts = ["\n".join(candidate.prompt_texts()) for candidate in candidates]
            ids, answers = [candidate.id for candidate in candidates], [candidate.completion for candidate in candidates]
            coverages[numbers] = tally.look(ids, prompts, answers)
        return SetFindings(
            {"contaminated": np.flatnonzero(coverages > settings.max_coverage)}, {"test_coverage": coverages}, tally.summary()
        )

    return look


def _sample(rows: CandidateSet) -> list[str]:
    """Return the prompts of some rows."""
    chosen = np.zeros(len(rows), bool)
    chosen[sampled_rows(len(rows))] = True
    return ["\n".join(candidate.prompt_texts()) for _, candidates in rows.batches(chosen) for candidate in candidates]
