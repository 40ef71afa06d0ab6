"""Whether two models differ in a metric of a whole set, such as BLEU, by approximate randomisation on the same items."""

import numpy as np

from tasks.metrics.corpus_metric import Answers, CorpusMetric, References

_TRIALS = 2_000
_SEED = 20_240_101  # fixed: a report made twice says the same


def randomisation_p_value(ours: Answers, theirs: Answers, references: References, metric: CorpusMetric) -> float:
    """Return the two-sided p-value of the hypothesis that it makes no difference which model gave an answer.

    Each item's two answers change sides with a probability of a half, 2,000 times (Riezler and Maxwell 2005, which is also
    sacrebleu's ``paired-ar``); the observed sides count as one of the trials.

    Args:
        ours: One model's answers, one an item.
        theirs: The other's, of the same items.
        references: Accepted answers.
        metric: What both are measured by.
    """
    both = metric.statistics([*ours, *theirs], [*references, *references])  # at once, for columns may be labels that were seen
    first, second = np.split(both, 2)
    swapped = np.random.default_rng(_SEED).random((_TRIALS, len(first))) < 0.5
    moved = swapped @ (second - first)
    differences = metric.score(first.sum(axis=0) + moved) - metric.score(second.sum(axis=0) - moved)
    observed = metric.score(first.sum(axis=0, keepdims=True))[0] - metric.score(second.sum(axis=0, keepdims=True))[0]
    as_far = np.abs(differences) >= abs(observed) - 1e-12
    return float((as_far.sum() + 1) / (_TRIALS + 1))
