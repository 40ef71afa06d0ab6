"""ROUGE of a summary (Lin 2004, aclanthology W04-1013): words, word pairs and common subsequences shared with a reference."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
PRIMARY = "rougeLsum"


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", PRIMARY], use_stemmer=True)


def rouge(summary: str, references: Sequence[str]) -> dict[str, float]:
    """Return ROUGE-1, ROUGE-2 and ROUGE-Lsum as F1 in [0, 1], of words without their endings.

    Args:
        summary: The summary; each of its sentences is a unit of ROUGE-Lsum.
        references: Summaries it may be like, at least one. All three are against the one with the highest ROUGE-Lsum.
    """
    said = _one_sentence_a_line(summary)
    scored = [_scorer().score(_one_sentence_a_line(reference), said) for reference in references]
    best = max(scored, key=lambda scores: scores[PRIMARY].fmeasure)
    return {name: float(score.fmeasure) for name, score in best.items()}


def _one_sentence_a_line(text: str) -> str:
    return "\n".join(_SENTENCE_END.split(text.strip()))
