"""BLEU of a whole set of answers (Papineni et al. 2002, doi 10.3115/1073083.1073135)."""

from typing import Any

from tasks.metrics.sacrebleu_metric import sacrebleu_metric


def _metric() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(force=True)  # its warning about texts that look tokenised has nobody to read it


bleu = sacrebleu_metric(_metric)
