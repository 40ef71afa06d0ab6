"""Personal data and secrets: rows that have any are rejected, or what is personal in them is blacked out."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from tasks.core.personal_data import black_out, personal_data_search
from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter

Part = Literal["answer", "reasoning", "prompt"]


class PiiSettings(FilterSettings):
    """Personal data and secrets: e-mail addresses, public IP addresses, IBANs, card and telephone numbers, US social security
    numbers, keys and passwords. What has a check digit is checked."""

    mode: Literal["off", "annotate", "redact", "drop"] = "annotate"  # pyright: ignore[reportIncompatibleVariableOverride]
    """As for the other filters; redact: the row is kept with a placeholder for each, such as [email]. Its tokens and their
    log-probabilities, which would give away the same, are left out."""

    look_at: tuple[Part, ...] = ("answer", "reasoning", "prompt")
    """Which of a row's texts are looked at; prompt: all that comes before the answer, earlier turns among it."""


def reject_personal_data(settings: PiiSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``pii``, its scores ``pii_`` and the kind: how often each was found."""
    del context
    in_question = personal_data_search()

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        counts: dict[int, Counter[str]] = {}
        texts = [(place, text) for place, candidate in enumerate(candidates) for text in _texts(candidate, settings.look_at)]
        for (place, text), likely in zip(texts, in_question([text for _, text in texts]), strict=True):
            if likely and (here := black_out(text)[1]):
                counts.setdefault(place, Counter()).update(here)
        found = [PASSED] * len(candidates)
        for place, kinds in counts.items():
            found[place] = Finding("pii", {f"pii_{kind}": float(count) for kind, count in sorted(kinds.items())})
        return found

    return look


def _texts(candidate: Candidate, parts: Sequence[Part]) -> list[str]:
    texts = [candidate.completion] if "answer" in parts else []
    texts += [candidate.reasoning] if "reasoning" in parts and candidate.reasoning else []
    return [*texts, *candidate.prompt_texts()] if "prompt" in parts else texts
