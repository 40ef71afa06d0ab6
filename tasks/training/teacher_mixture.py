"""Several teachers' stored distributions at the same positions, made one."""

from collections.abc import Sequence

import numpy as np

from tasks.core.errors import SettingsError
from tasks.core.logprobs import NO_PROBABILITY, to_float16


def combine_distributions(
    distributions: Sequence[tuple[np.ndarray, np.ndarray]], weights: Sequence[float], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of several teachers' likeliest candidates.

    What a teacher did not store counts as 0, so no id's probability is overstated: what is missing counts as tail. It is exact
    for ids that all teachers stored; of others at most each other teacher's weight times its last candidate's probability is
    missing. So only where the teachers stored the same ids is a bucket divergence from the result a bound of the full one.

    Args:
        distributions: Each teacher's candidates, integers [n, K], and their log-probabilities, [n, K]; unused places have
            ``NO_PROBABILITY``. K may differ between teachers.
        weights: The teachers' weights in the mean, in the same order; they need not sum to 1.
        width: How many candidates to keep at each position.

    Returns:
        Ids, uint32 [n, width], and log-probabilities, float16 [n, width], likeliest first, as they are stored; unused places have
        id 0 and ``NO_PROBABILITY``.

    Raises:
        SettingsError: If a weight is negative, or all are 0.
    """
    shares = np.array(weights, np.float64)
    if not (shares >= 0).all() or shares.sum() <= 0:
        raise SettingsError(
            f"the weights of the combined teachers are {list(weights)}, wanted none below 0 and one above; mend teacher_weights"
        )
    shares /= shares.sum()
    ids = np.concatenate([ids for ids, _ in distributions], axis=1).astype(np.uint32)
    parts = [share * np.exp(logprobs.astype(np.float64)) for share, (_, logprobs) in zip(shares, distributions, strict=True)]
    ids, probabilities = _join_equal_ids(ids, np.concatenate(parts, axis=1))

    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :width]
    probabilities = np.take_along_axis(probabilities, likeliest, axis=1)
    found = likeliest.shape[1]
    kept_ids = np.zeros((len(ids), width), np.uint32)
    kept = np.full((len(ids), width), NO_PROBABILITY, np.float16)
    kept_ids[:, :found] = np.where(probabilities > 0, np.take_along_axis(ids, likeliest, axis=1), 0)
    with np.errstate(divide="ignore"):  # log 0 of unused places
        kept[:, :found] = to_float16(np.log(probabilities))
    return kept_ids, kept


def _join_equal_ids(ids: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every position's distinct ids and the sums of their probabilities; places left over have probability 0.

    Args:
        ids: Ids, in which some occur several times, [n, W].
        probabilities: Their parts of probability, [n, W].
    """
    order = np.argsort(ids, axis=1, kind="stable")
    ids, probabilities = np.take_along_axis(ids, order, axis=1), np.take_along_axis(probabilities, order, axis=1)
    place = np.zeros(ids.shape, np.int64)  # of an id among the distinct ones of its position
    place[:, 1:] = np.cumsum(ids[:, 1:] != ids[:, :-1], axis=1)
    place += ids.shape[1] * np.arange(len(ids))[:, None]
    sums = np.bincount(place.reshape(-1), probabilities.reshape(-1), minlength=ids.size)
    distinct = np.zeros(ids.size, ids.dtype)
    distinct[place.reshape(-1)] = ids.reshape(-1)
    return distinct.reshape(ids.shape), sums.reshape(ids.shape)
