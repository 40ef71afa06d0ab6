"""Tests of whether two models differ on the same items, and Holm's correction where several tasks are looked at."""

from collections.abc import Mapping

import numpy as np

_FLIPS = 20_000
_SEED = 20_240_101  # fixed: a report made twice says the same


def difference_p_value(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the two-sided p-value of the hypothesis that two models score alike.

    Args:
        ours: ``[items]``.
        theirs: ``[items]``, of the same items.

    Returns:
        McNemar's exact test (1947) where all scores are 0 or 1, else the sign-flip permutation test (Fisher 1935).
    """
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if np.isin(ours, (0, 1)).all() and np.isin(theirs, (0, 1)).all():
        return mcnemar(int((ours > theirs).sum()), int((ours < theirs).sum()))
    return sign_flip(ours - theirs)


def mcnemar(better: int, worse: int) -> float:
    """Return the p-value of McNemar's exact test: of the items on which two models differ, either is right as often.

    Args:
        better: Items that only ours has right.
        worse: Items that only theirs has right.
    """
    from scipy.stats import binomtest

    return float(binomtest(min(better, worse), better + worse, 0.5).pvalue) if better + worse else 1.0


def sign_flip(differences: np.ndarray) -> float:
    """Return the p-value of the hypothesis that differences are as often one way as the other, by 20,000 random flips.

    The observed signs count as one of the flips (Phipson and Smyth 2010), so that no p-value is 0. Items whose differences are of
    one size are flipped together, by a binomial count.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    flipped = 2 * np.random.default_rng(_SEED).binomial(counts, 0.5, size=(_FLIPS, len(counts))) - counts
    observed = abs(differences.sum())
    as_far = np.abs(flipped @ sizes) >= observed * (1 - 1e-12)
    return float((as_far.sum() + 1) / (_FLIPS + 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values that hold for all hypotheses together, in the order given (Holm 1979).

    Args:
        p_values: One by hypothesis.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
