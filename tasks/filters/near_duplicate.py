"""Only one of several rows that say nearly the same; what that is, ``near_duplicates`` says."""

import numpy as np
from pydantic import Field

from tasks.filters.context import FilterContext
from tasks.filters.interface import CandidateSet, FilterSettings, SetFilter, SetFindings
from tasks.filters.near_duplicates.search import NearDuplicateSearch
from tasks.filters.row_keys import EXACT_BITS, row_keys
from tasks.filters.survivors import best_first


class NearDuplicateSettings(FilterSettings):
    """Rows of which both prompt and answer are nearly another row's; of each cluster of them, the best row stays."""

    min_similarity: float = Field(default=0.8, gt=0, le=1)
    """Share of the word 3-grams of two prompts, and of the two answers, that both must have in common to count as the same:
    those in both over those in any. One word changed among 30 leaves 0.8. Of pairs as similar as that, at least 92 % are found;
    of those at 0.85, 99 %."""

    max_template_share: float = Field(default=0.05, gt=0, le=1)
    """Word 3-grams that more than this share of the different prompts have belong to their template and are not compared."""


def reject_near_duplicates(settings: NearDuplicateSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``near_duplicate``.

    Its scores, for rows of a cluster: ``duplicate_similarity`` to the row that stays, which is below the limit for a row that
    belongs to the cluster over others; and ``duplicate_cluster``, a whole number that all rows of a cluster have.
    """

    def look(rows: CandidateSet) -> SetFindings:
        keys: list[np.ndarray] = [np.zeros(0, np.uint64)]
        with NearDuplicateSearch(rows.scratch, settings.min_similarity, settings.max_template_share) as search:
            for _, candidates in rows.batches():
                keys.append(row_keys(candidates))
                prompts = ["\n".join(candidate.prompt_texts()) for candidate in candidates]
                search.add(prompts, [candidate.completion for candidate in candidates], keys[-1])
            found = search.find(lambda chosen: best_first(rows, chosen), context.find_pairs)
        rejected = found.survivors != np.arange(len(rows))
        shared = np.bincount(found.survivors, minlength=len(rows))[found.survivors] > 1
        clusters = (np.concatenate(keys)[found.survivors] >> np.uint64(64 - EXACT_BITS)).astype(np.float64)
        scores = {"duplicate_similarity": found.similarities, "duplicate_cluster": clusters}
        notes = {
            "min_similarity": settings.min_similarity,
            "clusters": int((shared & ~rejected).sum()),
            "largest_cluster": int(np.bincount(found.survivors).max(initial=0)),
        }
        alone_unscored = {name: np.where(shared, values, np.nan) for name, values in scores.items()}
        return SetFindings({"near_duplicate": np.flatnonzero(rejected)}, alone_unscored, notes)

    return look
