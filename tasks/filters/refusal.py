"""Only answers that answer: no refusals, and none in which a model introduces itself as somebody else's product."""

import re
from collections.abc import Sequence
from typing import Literal

from tasks.core.needles import needle_search
from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter
from tasks.filters.refusal_phrases import REFUSALS, SELF_IDENTIFICATIONS, Form
from tasks.task_types import TASK_TYPES

_LOOKED_AT = 200  # characters: who refuses does so at once, and further down somebody may be quoted


class RefusalSettings(FilterSettings):
    """Answers that refuse, or speak of themselves as an AI model. Never applied to labels."""

    self_identification: bool = True
    """Look also for answers in which the teacher says what it is, which the student is not."""

    look_at: tuple[Literal["answer", "reasoning"], ...] = ("answer", "reasoning")
    """Which of a row's texts are looked at, the first 200 characters of each."""


def reject_refusals(settings: RefusalSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reasons are ``refusal`` and ``self_identification``."""
    del context
    refusals, self_identifications = _compiled(REFUSALS), _compiled(SELF_IDENTIFICATIONS)

    in_question = needle_search(needle for form in (*REFUSALS, *SELF_IDENTIFICATIONS) for needle in form.needles)

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        found = [PASSED] * len(candidates)
        starts = [(place, start) for place, candidate in enumerate(candidates) for start in starts_of(candidate)]
        for (place, start), likely in zip(starts, in_question([start for _, start in starts]), strict=True):
            if likely and found[place] is PASSED and (reason := judge(start)) is not None:
                found[place] = Finding(reason)
        return found

    def starts_of(candidate: Candidate) -> list[str]:
        if TASK_TYPES[candidate.task].is_closed:
            return []
        texts = [candidate.completion] if "answer" in settings.look_at else []
        texts += [candidate.reasoning] if "reasoning" in settings.look_at and candidate.reasoning else []
        return [text[:_LOOKED_AT].lower().replace("\u2019", "'") for text in texts]

    def judge(start: str) -> str | None:
        if _is_said(refusals, start):
            return "refusal"
        if settings.self_identification and _is_said(self_identifications, start):
            return "self_identification"
        return None

    return look


def _compiled(forms: Sequence[Form]) -> list[tuple[tuple[str, ...], re.Pattern[str]]]:
    return [(form.needles, re.compile(form.pattern)) for form in forms]


def _is_said(forms: Sequence[tuple[tuple[str, ...], re.Pattern[str]]], text: str) -> bool:
    """Return whether a text, in lower case, says something in one of the forms."""
    for needles, pattern in forms:
        for needle in needles:
            if needle in text:
                if pattern.search(text):
                    return True
                break
    return False
