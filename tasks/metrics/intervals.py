"""95 % intervals: Wilson's for one proportion, the paired bootstrap for everything that compares models on the same items."""

from collections.abc import Callable, Sequence
from math import sqrt

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


def wilson(successes: int, trials: int) -> Interval:
    """Return a proportion with Wilson's score interval (Wilson 1927), which stays in [0, 1] and is honest near its ends.

    Args:
        successes: Items that were right.
        trials: Items in all, at least one.
    """
    share = successes / trials
    centre = (share + _Z95**2 / (2 * trials)) / (1 + _Z95**2 / trials)
    margin = _Z95 / (1 + _Z95**2 / trials) * sqrt(share * (1 - share) / trials + _Z95**2 / (4 * trials**2))
    return Interval(value=share, low=max(0.0, centre - margin), high=min(1.0, centre + margin))


def paired_bootstrap(
    scores: Sequence[Sequence[float]], statistic: Callable[[np.ndarray], np.ndarray], resamples: int = _RESAMPLES
) -> Interval:
    """Return a statistic of several models' mean scores with its percentile bootstrap interval (Efron 1979).

    Items are drawn with replacement and every model is scored on the same draw, so that what makes an item hard for all of
    them cancels. Items with equal scores are drawn together, by their multinomial counts: the same distribution, much faster.

    Args:
        scores: One row a model, one score an item.
        statistic: Maps mean scores of shape ``[models, draws]`` to ``[draws]``; may give NaN where it is undefined.
        resamples: Draws.
    """
    items = np.asarray(scores, dtype=float)
    patterns, counts = np.unique(items, axis=1, return_counts=True)
    total = items.shape[1]
    drawn = np.random.default_rng(_SEED).multinomial(total, counts / total, size=resamples)
    return _percentiles(float(statistic(items.mean(axis=1, keepdims=True))[0]), statistic(patterns @ drawn.T / total))


def resampled(answers: Answers, references: References, metric: CorpusMetric) -> Interval:
    """Return a metric that is no mean over items, such as macro-F1, with its percentile bootstrap interval.

    Items are drawn with replacement and the metric is computed anew on each of 1,000 draws.
    """
    items = metric.statistics(answers, references)
    total = len(items)
    drawn = np.random.default_rng(_SEED).multinomial(total, [1 / total] * total, size=1_000)
    return _percentiles(float(metric.score(items.sum(axis=0, keepdims=True))[0]), metric.score(drawn @ items))


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
    finite = draws[np.isfinite(draws)]
    if not np.isfinite(value) or len(finite) < len(draws) / 2:
        return Interval(value=value if np.isfinite(value) else 0.0)
    low, high = np.percentile(finite, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))
