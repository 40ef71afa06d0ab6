"""F1 averaged over the labels, so that rare labels count as much as frequent ones."""

import numpy as np

from tasks.metrics.corpus_metric import CorpusMetric
from tasks.metrics.label_counts import blocks, label_counts


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return the unweighted mean of F1 over the labels that are wanted.

    An answer outside the closed set counts against the recall of its reference and against no label's precision.
    """
    right, answered, wanted = blocks(sums)
    of_label = np.divide(2 * right, answered + wanted, out=np.zeros_like(right), where=wanted > 0)
    return of_label.sum(axis=1) / np.maximum((wanted > 0).sum(axis=1), 1)


macro_f1 = CorpusMetric(label_counts, _macro_f1)
