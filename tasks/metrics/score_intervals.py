"""95 % intervals of means, differences and ratios of models' scores on the same items: where the score test does not reject.

Everything is paired: a score belongs to an item, and what makes an item hard for all models cancels. Scores lie in [0, 1]. The
statistic is compared with Student's t of ``items - 1`` degrees of freedom, which makes up for the variance being estimated; on
simulated students at the limit this keeps the error at or below its nominal 2.5 % a side, from 40 items on, where a percentile
bootstrap or a t-test errs up to several times as often (``tests/metrics/test_non_inferiority.py``).
"""

from collections.abc import Callable

import numpy as np

from tasks.metrics.intervals import NOTHING, Interval
from tasks.metrics.score_statistic import score_statistic

_FINE, _COARSE = (64, 4), (8, 8)
"""Steps of a grid, and how often an end is looked for between two of its points: to 1 in 16 million either way."""
_FEW_PATTERNS = 64
_QUARTER_TURN = np.pi / 2


def mean_interval(scores: np.ndarray) -> Interval:
    """Return one model's mean score with its interval; of right and wrong answers about Wilson's.

    Args:
        scores: ``[items]`` in [0, 1], at least one.
    """
    items = np.asarray(scores, dtype=float)[None]
    value = float(items.mean())
    low, high = _inverted(items, value, 0.0, 1.0, lambda mean: (np.ones((len(mean), 1)), mean))
    return Interval(value=value, low=low, high=high)


def difference_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Return the difference of two models' mean scores; of right and wrong answers the interval of Tango (1998).

    Args:
        ours: ``[items]`` in [0, 1].
        theirs: ``[items]``, of the same items.
    """
    items = np.asarray([ours, theirs], dtype=float)
    value = float(items[0].mean() - items[1].mean())
    low, high = _inverted(items, value, -1.0, 1.0, lambda gap: (np.tile([1.0, -1.0], (len(gap), 1)), gap))
    return Interval(value=value, low=low, high=high)


def ratio_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Return the ratio of two models' mean scores; of right and wrong answers the interval of Tang, Tang and Chan (2003).

    Args:
        ours: ``[items]`` in [0, 1].
        theirs: ``[items]``, of the same items.

    Returns:
        The ratio; 0 and no bounds where the other model's mean is 0 or may be, so that the ratio has no upper end.
    """
    items = np.asarray([ours, theirs], dtype=float)
    means = items.mean(axis=1)
    if means[1] <= 0:
        return NOTHING
    low, high = _inverted_ratio(items, means, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.0)
    return Interval(value=float(means[0] / means[1]), low=low, high=high)


def gap_closed_interval(student: np.ndarray, baseline: np.ndarray, teacher: np.ndarray) -> Interval:
    """Return the share of the gap from baseline to teacher that the student closes, with bounds in Fieller's manner (1954).

    Args:
        student: ``[items]`` in [0, 1].
        baseline: ``[items]``, of the same items.
        teacher: ``[items]``, of the same items.

    Returns:
        The share, negative where the student is below the baseline. There are no bounds where the gap may be 0; where the teacher
        is not above the baseline there is nothing to close, and the value is 0: a quotient of two losses would look like a gain.
    """
    items = np.asarray([student, baseline, teacher], dtype=float)
    means = items.mean(axis=1)
    closed, gap = np.array([1.0, -1.0, 0.0]), np.array([0.0, -1.0, 1.0])
    if gap @ means <= 0:
        return NOTHING
    low, high = _inverted_ratio(items, means, closed, gap, -_QUARTER_TURN)
    value = float(closed @ means / (gap @ means))
    return Interval(value=value, low=low, high=high) if low is not None and high is not None else Interval(value=value)


def contrast_statistic(items: np.ndarray, weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the score statistics of hypotheses about models' means: that ``weights @ means`` equals ``offset``.

    Args:
        items: ``[models, items]``, scores in [0, 1].
        weights: ``[hypotheses, models]``.
        offsets: ``[hypotheses]``.
    """
    patterns, counts = np.unique(items, axis=1, return_counts=True)
    return _statistic(patterns, counts.astype(float), weights, offsets)


def critical_value(items: int) -> float:
    """Return the statistic beyond which 2.5 % lie if the hypothesis holds."""
    from scipy.stats import t

    return float(t.ppf(0.975, max(items - 1, 1)))


def _statistic(patterns: np.ndarray, counts: np.ndarray, weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    least, most = np.minimum(weights, 0).sum(axis=1) - offsets, np.maximum(weights, 0).sum(axis=1) - offsets
    return score_statistic(weights @ patterns - offsets[:, None], counts, least, most)


def _inverted_ratio(
    items: np.ndarray, means: np.ndarray, above: np.ndarray, below: np.ndarray, start: float
) -> tuple[float | None, float | None]:
    """Invert the test over the angle whose tangent is the ratio: the angle has ends, the ratio has none."""
    angle = float(np.arctan2(above @ means, below @ means))

    def hypotheses(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.cos(angles)[:, None] * above - np.sin(angles)[:, None] * below, np.zeros(len(angles))

    low, high = _inverted(items, angle, start, _QUARTER_TURN, hypotheses)
    ends = [None if abs(bound) >= _QUARTER_TURN else float(np.tan(bound)) for bound in (low, high)]
    return (ends[0], ends[1]) if ends[1] is not None else (None, None)


def _inverted(
    items: np.ndarray,
    value: float,
    least: float,
    most: float,
    hypotheses: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[float, float]:
    """Return the ends of the parameters that the test does not reject; the limits where it rejects none on that side."""
    patterns, counts = np.unique(items, axis=1, return_counts=True)
    critical = critical_value(items.shape[1])
    steps, rounds = _FINE if patterns.shape[1] <= _FEW_PATTERNS else _COARSE
    places, sides = np.linspace(0.0, 1.0, steps + 1), np.arange(2)
    near, far = np.full(2, value), np.array([least, most])
    for _ in range(rounds):
        grids = near[:, None] + (far - near)[:, None] * places
        grids[:, -1] = far
        statistics = _statistic(patterns, counts.astype(float), *hypotheses(grids.ravel()))
        rejected = (np.abs(statistics) > critical).reshape(grids.shape)
        rejected[:, 0], rejected[:, -1] = False, True  # the end is at the limit where nothing before it is rejected
        first = rejected.argmax(axis=1)
        near, far = grids[sides, first - 1], grids[sides, first]
    return float(far[0]), float(far[1])
