"""Sacrebleu's metrics as corpus metrics: their own statistics and score, scaled to [0, 1], and their signature."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.metrics.corpus_metric import Answers, CorpusMetric, References


def sacrebleu_metric(make: Callable[[], Any]) -> CorpusMetric:
    """Return one of sacrebleu's metrics (Post 2018, arXiv 1804.08771) as a corpus metric; invalid answers count as empty ones.

    Args:
        make: Makes sacrebleu's metric; called late, for the library is heavy.
    """

    def statistics(answers: Answers, references: References) -> np.ndarray:
        most = max(len(given) for given in references)
        columns = [[given[place] if place < len(given) else None for given in references] for place in range(most)]
        return np.asarray(make()._extract_corpus_statistics([answer or "" for answer in answers], columns), float)

    def score(sums: np.ndarray) -> np.ndarray:
        metric = make()
        return np.asarray([metric._compute_score_from_stats(row.tolist()).score / 100 for row in sums])

    def signature(references: References) -> str:
        metric = make()
        counts = {len(given) for given in references}
        metric.num_refs = counts.pop() if len(counts) == 1 else "var"
        return str(metric.get_signature())

    return CorpusMetric(statistics, score, signature)
