"""What a metric of a whole set of answers is: statistics of each item that add up, and a score of their sums.

Every such metric here (macro-F1, the correlation of Matthews, BLEU, chrF) depends on the items only through sums. Who wants an
interval therefore takes the statistics once, and scores the sums over any draw of items without reading a text again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Answers = Sequence[str | None]
"""Canonical answers, one an item; None: invalid."""
References = Sequence[Sequence[str]]
"""Accepted answers of each item, at least one."""


@dataclass(frozen=True)
class CorpusMetric:
    """A metric over all items; call it with answers and references for its value in [-1, 1], 1 is best."""

    statistics: Callable[[Answers, References], np.ndarray]
    """Returns float64 [items, columns]."""
    score: Callable[[np.ndarray], np.ndarray]
    """Maps sums over items, [draws, columns], to one value a draw."""
    signature: Callable[[References], str] | None = None
    """Says how a metric of many variants was computed, library and version included; None where there is but one way."""

    def __call__(self, answers: Answers, references: References) -> float:
        """Return the metric of at least one item."""
        return float(self.score(self.statistics(answers, references).sum(axis=0, keepdims=True))[0])
