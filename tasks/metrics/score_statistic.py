"""The score test of a mean: how far an observed contrast of models is from 0, in standard errors that hold if it were 0.

The variance is taken where the null hypothesis holds, not where the data are. The nearest distribution with a mean of 0 is the
one of greatest likelihood among those on the observed values and on the most unfavourable value there could be (Owen 2001,
*Empirical Likelihood*, chapter 2, with an end point of the support added). For right and wrong answers this is, in turn, the test
of Wilson (1927) for one proportion, of Tango (1998) for a difference of paired proportions, and of Nam and Blackwelder (2002) and
Tang, Tang and Chan (2003) for a ratio of them. For graded scores in [0, 1] it is the same with more values. Unlike a bootstrap
or a t-test it keeps its level where nearly all items are alike, and items that are all alike still leave an uncertainty.
"""

import numpy as np

_HALVINGS = 26


def score_statistic(values: np.ndarray, counts: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the score statistic of the hypothesis that a mean is 0; about standard normal if it is.

    Args:
        values: What the items contribute, shape ``[..., values]``; many hypotheses or samples at once.
        counts: How many items have each value, of a shape that broadcasts to that of ``values``.
        low: The least an item could contribute, shape ``[...]``.
        high: The most an item could contribute, shape ``[...]``.

    Returns:
        Shape ``[...]``: positive where the mean is above 0; infinite where no distribution between the ends has a mean of 0.
    """
    total = counts.sum(axis=-1)
    shares = counts / total[..., None]
    mean = (shares * values).sum(axis=-1)
    sign = np.where(mean < 0, -1.0, 1.0)
    turned = values * sign[..., None]
    worst = np.where(mean < 0, high, -low)  # how far below 0 an item could lie, once turned so that the mean is positive
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(worst > 0, 1 / worst, np.inf)
        tilt = _tilt(turned, shares, np.where(np.isfinite(limit), limit, 1.0))
        weights = shares / (1 + tilt[..., None] * turned)
        unseen = np.clip(1 - weights.sum(axis=-1), 0, None)
        variance = (weights * turned**2).sum(axis=-1) + unseen * worst**2
        statistic = mean * np.sqrt(total / variance)
    return np.where(mean == 0, 0.0, np.where(worst > 0, statistic, sign * np.inf))


def _tilt(values: np.ndarray, shares: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return the multiplier under which the weights ``shares / (1 + tilt * values)`` have a mean of 0, or the limit."""
    low, high = np.zeros_like(limit), limit
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_above = (shares * values / (1 + middle[..., None] * values)).sum(axis=-1) > 0
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    return (low + high) / 2
