"""How answers are scored, one metric a file, and the statistics around every score.

A metric of one answer takes it and its references and returns a number in [0, 1]; a task type (``tasks/task_types/``) names
those that fit its answers. A metric of a whole set is a ``CorpusMetric``. To add one: write its file, for a whole set also its
line in ``CORPUS_METRICS``, name it in the task types that want it, and write its test.
"""

from tasks.metrics.bleu import bleu
from tasks.metrics.chrf import corpus_chrf
from tasks.metrics.corpus_metric import CorpusMetric
from tasks.metrics.macro_f1 import macro_f1
from tasks.metrics.mcc import mcc

CORPUS_METRICS: dict[str, CorpusMetric] = {
    "macro_f1": macro_f1,
    "mcc": mcc,
    "bleu": bleu,
    "corpus_chrf": corpus_chrf,
}
