"""The win rate that would have been found if the answers of both models were equally long (AlpacaEval 2).

Judges like long answers. Dubois et al. 2024 (arXiv 2404.04475) model the preference by a logistic regression on the difference of
lengths and ask it about a difference of 0. Their further term, how hard each instruction is, needs many models on the same
instructions and is left out, as in their model of one pair of systems.
"""

from collections.abc import Sequence
from math import exp, sqrt

import numpy as np

from tasks.metrics.intervals import Interval

_Z95 = 1.959963984540054
_STEPS = 50
_TOLERANCE = 1e-10
_PRIOR_DEVIATIONS = np.array([10.0, 2.5])
"""Of a normal prior around 0 on intercept and slope, as weak as the one of Gelman et al. 2008: without one, a model that always
wins has no estimate."""


def length_controlled_win_rate(scores: Sequence[float], lengths: Sequence[int], other_lengths: Sequence[int]) -> Interval | None:
    """Return the win rate at equal lengths with its 95 % interval.

    Args:
        scores: 1 for each item that the first model wins, 0.5 for a tie, 0 for a loss.
        lengths: Lengths of its answers, in any unit.
        other_lengths: Lengths of the other model's answers.

    Returns:
        The win rate; its interval is Wald's on the logistic scale, by the larger of the model's variance and the robust one,
        which allows for its misfit. None where all differences of length are equal: then lengths cannot be told from quality.
    """
    difference = np.asarray(lengths, np.float64) - np.asarray(other_lengths, np.float64)
    deviation = float(difference.std()) if len(difference) else 0.0
    if deviation == 0:
        return None
    design = np.column_stack([np.ones_like(difference), np.tanh(difference / deviation)])
    wins = np.asarray(scores, np.float64)
    weights = np.zeros(2)
    for _ in range(_STEPS):  # Newton's method on a concave function
        gradient, curvature = _derivatives(design, wins, weights)
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < _TOLERANCE:
            break
    residual = wins - _logistic(design @ weights)
    bread = np.linalg.inv(_derivatives(design, wins, weights)[1])
    robust = bread @ ((design * residual[:, None] ** 2).T @ design) @ bread
    margin = _Z95 * sqrt(max(float(robust[0, 0]), float(bread[0, 0])))
    low, value, high = (1 / (1 + exp(-float(weights[0]) - shift)) for shift in (-margin, 0.0, margin))
    return Interval(value=value, low=low, high=high)


def _derivatives(design: np.ndarray, wins: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of the log posterior and its negative second derivative."""
    expected = _logistic(design @ weights)
    gradient = design.T @ (wins - expected) - weights / _PRIOR_DEVIATIONS**2
    curvature = (design * (expected * (1 - expected))[:, None]).T @ design + np.diag(1 / _PRIOR_DEVIATIONS**2)
    return gradient, curvature


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))
