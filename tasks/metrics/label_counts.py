"""How often each label was answered, wanted and both: what the metrics of closed sets are computed from."""

import numpy as np

from tasks.metrics.answers import normalise_label
from tasks.metrics.corpus_metric import Answers, References


def label_counts(answers: Answers, references: References) -> np.ndarray:
    """Return the statistics of every item: three blocks of columns, one column a label: answered rightly, answered, wanted.

    An item with several references wants the one that was answered, or else the first. An invalid answer is one more label,
    which no item wants.

    Args:
        answers: Canonical answers.
        references: Accepted labels.

    Returns:
        float64 [items, 3 * labels].
    """
    accepted = [[normalise_label(reference) for reference in given] for given in references]
    said = [None if answer is None else normalise_label(answer) for answer in answers]
    wanted = [answer if answer in given else given[0] for answer, given in zip(said, accepted, strict=True)]
    places = {label: place for place, label in enumerate(dict.fromkeys([*wanted, *said]))}
    counts = np.zeros((len(said), 3, len(places)))
    for item, (answer, label) in enumerate(zip(said, wanted, strict=True)):
        counts[item, 0, places[label]] = answer == label
        counts[item, 1, places[answer]] = 1
        counts[item, 2, places[label]] = 1
    return counts.reshape(len(said), -1)


def blocks(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right, answered and wanted of sums over items, each [draws, labels]."""
    right, answered, wanted = np.split(sums, 3, axis=1)
    return right, answered, wanted
