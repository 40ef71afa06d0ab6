"""Only rows of a fitting length, counted in the student's own tokens: a cut-off row trains the wrong end."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter, TokenCounter


class LengthSettings(FilterSettings):
    """Rows and answers that are too long or too short for the student. What web text is measured by is no measure of an answer:
    a label is one word long."""

    max_row_tokens: int | None = Field(default=1024, ge=1)
    """Longest row, prompt and answer in the student's tokens; empty: no limit."""

    min_answer_tokens: int | None = Field(default=None, ge=1)
    """Shortest answer of a training row, its end of turn included; empty: no limit. Held-out rows may be shorter."""

    max_answer_tokens: int | None = Field(default=None, ge=1)
    """Longest answer, its end of turn included; empty: no limit."""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        shortest, longest = self.min_answer_tokens, self.max_answer_tokens
        if shortest is not None and longest is not None and shortest > longest:
            raise ValueError(f"min_answer_tokens = {shortest} and max_answer_tokens = {longest} leave no answer; swap them")
        return self


def reject_by_length(settings: LengthSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reasons are ``too_long``, ``answer_too_short`` and ``answer_too_long``.

    Counted lengths are kept as the scores ``row_tokens`` and ``answer_tokens``; a row that surely fits is not counted.
    """
    counter = context.count_tokens
    limits_answers = settings.min_answer_tokens is not None or settings.max_answer_tokens is not None

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        found = [PASSED] * len(candidates)
        if counter is None:
            return found
        if settings.max_row_tokens is not None:
            found = _long_rows(candidates, settings.max_row_tokens, counter)
        if limits_answers:
            found = [_answer(settings, *each) for each in zip(candidates, counter.answers(candidates), found, strict=True)]
        return found

    return look


def _long_rows(candidates: Sequence[Candidate], limit: int, counter: TokenCounter) -> list[Finding]:
    found = [PASSED] * len(candidates)
    doubtful = [place for place, candidate in enumerate(candidates) if counter.bound(candidate) > limit]
    for place, tokens in zip(doubtful, counter.rows([candidates[place] for place in doubtful]), strict=True):
        found[place] = Finding("too_long" if tokens > limit else None, {"row_tokens": tokens})
    return found


def _answer(settings: LengthSettings, candidate: Candidate, tokens: int, found: Finding) -> Finding:
    shortest = settings.min_answer_tokens if candidate.split == "train" else None
    reason = found.reason
    if reason is None and shortest is not None and tokens < shortest:
        reason = "answer_too_short"
    elif reason is None and settings.max_answer_tokens is not None and tokens > settings.max_answer_tokens:
        reason = "answer_too_long"
    return Finding(reason, {**found.scores, "answer_tokens": tokens})
