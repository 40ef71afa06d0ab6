"""Only answers that the teacher was sure of, by the log-probabilities that were stored with them."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, PASSED, FilterSettings, Finding, Mode, RowFilter


class ConfidenceSettings(FilterSettings):
    """Answers that the teacher itself thought unlikely. Needs `generations.logprobs`; answers without them pass."""

    mode: Mode = Field(default="annotate", description=MODES)

    min_mean_logprob: float | None = Field(default=None, le=0)
    """Least mean natural log-probability of an answer's tokens; empty: it is only written down."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.mode == "drop" and self.min_mean_logprob is None:
            raise ValueError("confidence is to drop answers and has no limit; give min_mean_logprob, such as -1.0")
        return self


def reject_unsure(settings: ConfidenceSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``low_confidence``, its score ``mean_logprob``."""
    del context

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [judge(candidate) for candidate in candidates]

    def judge(candidate: Candidate) -> Finding:
        logprobs = candidate.token_logprobs
        if logprobs is None or not len(logprobs):
            return PASSED
        mean = float(logprobs.mean(dtype=np.float32))
        is_low = settings.min_mean_logprob is not None and mean < settings.min_mean_logprob
        return Finding("low_confidence" if is_low else None, {"mean_logprob": mean})

    return look
