"""How a model's answers are scored, one metric a file, and the intervals around every score.

A metric takes the answers and the references, item by item, and returns one number; 1 is best. To add one: write its file, add
its line to ``METRICS``, its rows to ``selection.py``, and its test.
"""

from collections.abc import Callable, Sequence

from tasks.metrics.accuracy import accuracy
from tasks.metrics.macro_f1 import macro_f1

METRICS: dict[str, Callable[[Sequence[str], Sequence[str]], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "exact_match": accuracy,  # of answers that were normalised as free texts
}
