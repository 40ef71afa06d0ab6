"""Only the best answers to each prompt, of those that passed: by judge, votes and the teacher's confidence."""

import numpy as np
from pydantic import Field

from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, CandidateSet, FilterSettings, Mode, SetFilter, SetFindings
from tasks.filters.survivors import best_first


class BestNSettings(FilterSettings):
    """More answers to one prompt than are wanted."""

    mode: Mode = Field(default="off", description=MODES)

    max_answers: int = Field(default=1, ge=1)
    """Answers of each prompt that are kept: the best by judge, vote share and mean log-probability, in this order; among equals
    those of the lowest sample index."""


def reject_all_but_the_best(settings: BestNSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``not_best``, its score ``answer_rank``, from 1 for a prompt's best answer."""
    del context

    def look(rows: CandidateSet) -> SetFindings:
        groups = rows.prompt_groups()
        order = best_first(rows, np.ones(len(rows), bool))
        order = order[np.argsort(groups[order], kind="stable")]
        ordered = groups[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        ranks = np.empty(len(rows), np.float32)
        ranks[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows))) + 1
        return SetFindings({"not_best": np.flatnonzero(ranks > settings.max_answers)}, {"answer_rank": ranks})

    return look
