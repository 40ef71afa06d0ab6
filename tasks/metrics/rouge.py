"""ROUGE of a summary (Lin 2004, aclanthology W04-1013): words, word pairs and common subsequences shared with a reference."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])\s*")
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])[\w\u0900-\u0dff])+")
"""Scripts without spaces between words have a word a character; those of India have signs that are no letters to Python."""
PRIMARY = "rougeLsum"


class _AnyScript:
    """Words of any script, without regard to their endings: rouge-score's own words are of the letters a to z."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


@cache
def _scorer(is_latin: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", PRIMARY], use_stemmer=True, tokenizer=None if is_latin else _AnyScript())


def rouge(summary: str, references: Sequence[str]) -> dict[str, float]:
    """Return ROUGE-1, ROUGE-2 and ROUGE-Lsum as F1 in [0, 1], of words without their English endings.

    A reference that is mostly in other letters than a to z is compared by its words as they are: nothing of it would be left.

    Args:
        summary: The summary; each of its sentences is a unit of ROUGE-Lsum.
        references: Summaries it may be like, at least one. All three are against the one with the highest ROUGE-Lsum.
    """
    said = _one_sentence_a_line(summary)
    scored = [_scorer(_is_latin(reference)).score(_one_sentence_a_line(reference), said) for reference in references]
    best = max(scored, key=lambda scores: scores[PRIMARY].fmeasure)
    return {name: float(score.fmeasure) for name, score in best.items()}


def _is_latin(text: str) -> bool:
    letters = [character.isascii() for character in text if character.isalpha()]
    return 2 * sum(letters) >= len(letters)


def _one_sentence_a_line(text: str) -> str:
    return "\n".join(_SENTENCE_END.split(text.strip()))
