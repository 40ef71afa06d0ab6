"""95 % intervals of what is no mean of paired scores: one proportion by Wilson, metrics of a whole set and medians by bootstrap.

What compares models item by item is in ``score_intervals.py``.
"""

from collections.abc import Callable, Sequence
from math import ceil, sqrt

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.metrics.corpus_metric import Answers, CorpusMetric, References

_Z95 = 1.959963984540054
_RESAMPLES = 10_000
_SEED = 20_240_101  # fixed: a report made twice says the same


class Interval(BaseModel):
    """A value with the bounds of its 95 % interval; bounds are None where they cannot be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None


NOTHING = Interval(value=0.0)
"""What stands for a comparison of which nothing is known: there was nothing to compare, or to divide by."""


def wilson(successes: float, trials: int) -> Interval:
    """Return a proportion with Wilson's score interval (Wilson 1927), which stays in [0, 1] and is honest near its ends.

    Args:
        successes: Items that were right; a fraction where items are right in part.
        trials: Items in all, at least one.
    """
    share = successes / trials
    centre = (share + _Z95**2 / (2 * trials)) / (1 + _Z95**2 / trials)
    margin = _Z95 / (1 + _Z95**2 / trials) * sqrt(share * (1 - share) / trials + _Z95**2 / (4 * trials**2))
    return Interval(value=share, low=max(0.0, centre - margin), high=min(1.0, centre + margin))


def items_to_stay_below(share: float, ceiling: float) -> int | None:
    """Return how many items it takes for Wilson's interval to end at a ceiling, were the share as it is.

    The interval ends where ``|share - ceiling|`` is 1.96 standard errors of the ceiling.

    Args:
        share: A proportion that was found.
        ceiling: In (0, 1].

    Returns:
        The number; None where the share is not below the ceiling, so that no number would do.
    """
    if share >= ceiling:
        return None
    return max(ceil(_Z95**2 * ceiling * (1 - ceiling) / (ceiling - share) ** 2), 1)


def resampled(answers: Answers, references: References, metric: CorpusMetric) -> Interval:
    """Return a metric that is no mean over items, such as macro-F1, with its percentile bootstrap interval (Efron 1979).

    Items are drawn with replacement and the metric is computed anew on each of 1,000 draws. Where all draws agree, as they do on
    faultless answers, the interval is Wilson's of as large a share of as many items: what was not seen may still happen.
    """
    return _over_items(metric.statistics(answers, references), metric.score)


def mean_per_token(sums: np.ndarray, tokens: np.ndarray) -> Interval:
    """Return the mean over all tokens of all texts, with its percentile bootstrap interval, as of ``resampled``.

    Whole texts are drawn, for the tokens of one text depend on each other.

    Args:
        sums: ``[texts]``, sums over the tokens of each text.
        tokens: ``[texts]``, how many these are, at least one each.
    """
    return _over_items(np.column_stack([sums, tokens]), lambda added: added[:, 0] / added[:, 1])


def _over_items(items: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Return a score of statistics that add up over items, ``[items, statistics]``, with its percentile bootstrap interval."""
    total = len(items)
    drawn = np.random.default_rng(_SEED).multinomial(total, [1 / total] * total, size=1_000)
    value, draws = float(score(items.sum(axis=0, keepdims=True))[0]), score(drawn @ items)
    if np.ptp(draws) < 1e-9 and 0 <= value <= 1:
        return wilson(value * total, total)
    return _percentiles(value, draws)


def bootstrap_median(values: Sequence[float], resamples: int = _RESAMPLES) -> Interval:
    """Return the median of measurements with its percentile bootstrap interval."""
    array = np.asarray(values, dtype=float)
    picks = np.random.default_rng(_SEED).integers(0, len(array), size=(resamples, len(array)))
    return _percentiles(float(np.median(array)), np.median(array[picks], axis=1))


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the ratio of the medians of two sets of measurements, with its percentile bootstrap interval.

    Args:
        ours: Measurements, each of them positive.
        theirs: Measurements of something else: the two sets are not paired.
    """
    draws: list[np.ndarray] = []
    for stream, values in enumerate((ours, theirs)):
        array = np.asarray(values, dtype=float)
        picks = np.random.default_rng([_SEED, stream]).integers(0, len(array), size=(_RESAMPLES, len(array)))
        draws.append(np.median(array[picks], axis=1))
    return _percentiles(float(np.median(ours) / np.median(theirs)), draws[0] / draws[1])


def _percentiles(value: float, draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))
