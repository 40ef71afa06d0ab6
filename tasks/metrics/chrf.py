"""ChrF++: F-score of character and word n-grams (Popović 2017, doi 10.18653/v1/W17-4770), of one answer and of a whole set."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from tasks.metrics.sacrebleu_metric import sacrebleu_metric


def _metric() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


_kept_metric = cache(_metric)
corpus_chrf = sacrebleu_metric(_metric)


def chrf(answer: str, references: Sequence[str]) -> float:
    """Return an answer's chrF++ against the reference that it is closest to, in [0, 1]."""
    return float(_kept_metric().sentence_score(answer, list(references)).score) / 100
