"""The correlation of Matthews for any number of labels: 0 for whoever guesses, however skewed the labels are."""

import numpy as np

from tasks.metrics.corpus_metric import CorpusMetric
from tasks.metrics.label_counts import blocks, label_counts


def _mcc(sums: np.ndarray) -> np.ndarray:
    """Return R_K (Gorodkin 2004, doi 10.1016/j.compbiolchem.2004.09.006); 0 where all answers or all references are alike."""
    right, answered, wanted = blocks(sums)
    total, correct = wanted.sum(axis=1), right.sum(axis=1)
    covariance = correct * total - (answered * wanted).sum(axis=1)
    spread = (total**2 - (answered**2).sum(axis=1)) * (total**2 - (wanted**2).sum(axis=1))
    return np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)


mcc = CorpusMetric(label_counts, _mcc)
