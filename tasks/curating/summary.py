"""What a curation tells about itself: the funnel, labels and lengths before and after, and a few rejected rows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.core.redaction import redact
from tasks.curating.answers import Answers
from tasks.curating.row_pass import NO_LABEL, RowFigures
from tasks.curating.step import Step
from tasks.curating.verdicts import Verdicts
from tasks.task_types import TASK_TYPES
from tasks.task_types.labels import read_label

_EXAMPLES_EACH = 3
_SHOWN_CHARACTERS = 300
_SEED = 0  # which examples are shown is no part of the result, only the same each time


def count_reasons(verdicts: Verdicts) -> dict[str, int]:
    """Return how many rows have each reason, whether it rejected them or not."""
    return {reason: len(numbers) for _, reason, numbers in verdicts.reasons()}


def summarise(
    answers: Answers, steps: Sequence[Step], labels: Sequence[str], figures: RowFigures, verdicts: Verdicts
) -> dict[str, Any]:
    """Return the funnel, the reasons, histograms of labels and of lengths before and after, and some rejected rows."""
    return {
        "funnel": [step.summary() for step in steps],
        "reasons": count_reasons(verdicts),
        "labels_before": count_labels(figures, np.ones(len(verdicts.kept), bool)),
        "labels_after": count_labels(figures, verdicts.kept),
        "labels_unseen": _unseen(labels, figures, verdicts),
        "lengths_before": _count_lengths(figures.lengths),
        "lengths_after": _count_lengths(figures.lengths[verdicts.kept]),
        "examples": pick_examples(answers, verdicts, _EXAMPLES_EACH),
    }


def count_labels(figures: RowFigures, chosen: np.ndarray) -> dict[str, int]:
    """Return how many answers of closed tasks are each label, the most frequent first.

    Args:
        figures: What is remembered of the rows.
        chosen: bool [rows]: which of them count.
    """
    names = list(figures.names["labels"])
    codes = figures.labels[chosen]
    counts = np.bincount(codes[codes != NO_LABEL], minlength=len(names))
    return dict(Counter({name: int(count) for name, count in zip(names, counts, strict=True) if count}).most_common())


def _unseen(labels: Sequence[str], figures: RowFigures, verdicts: Verdicts) -> list[str]:
    """Return the labels of the closed set that no training row has; none where no task is closed."""
    if not any(TASK_TYPES[task].is_closed for task in figures.names["tasks"]):
        return []
    seen = count_labels(figures, verdicts.kept & (figures.splits == figures.names["splits"].get("train")))
    return [label for label in labels if read_label(label, labels) not in seen]


def pick_examples(answers: Answers, verdicts: Verdicts, each: int, among: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Return a few rejected rows of every reason, with personal data blacked out.

    Args:
        answers: All rows.
        verdicts: What was found out about them.
        each: Rows a reason, drawn with a fixed seed.
        among: bool [rows]: which of them they are taken from; None: all.
    """
    rejected_rows = ~verdicts.kept if among is None else ~verdicts.kept & among
    random = np.random.default_rng(_SEED)
    chosen = np.zeros(len(verdicts.kept), bool)
    for _, _, numbers in verdicts.reasons():
        rejected = numbers[rejected_rows[numbers]]
        chosen[random.choice(rejected, min(each, len(rejected)), replace=False)] = True
    examples: list[dict[str, Any]] = []
    start = 0
    for rows in answers.batches(["messages", "text", "completion"]):
        here = chosen[start : start + len(rows)]
        if here.any():
            reasons = verdicts.reasons_of(start, len(rows))
            picked = rows.filter(pa.array(here)).to_pylist()
            examples += [_shown(row, reasons[place]) for row, place in zip(picked, np.flatnonzero(here), strict=True)]
        start += len(rows)
    return examples


def _shown(row: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
    asked = row["text"] if row["text"] is not None else row["messages"][-1]["content"] if row["messages"] else ""
    return {
        "reasons": reasons,
        "prompt": redact(asked, _SHOWN_CHARACTERS),
        "completion": redact(row["completion"], _SHOWN_CHARACTERS),
    }


def _count_lengths(lengths: np.ndarray) -> dict[str, int]:
    """Return how many answers have up to so many characters, by powers of two; an empty answer counts with those of one."""
    powers = np.ceil(np.log2(np.maximum(lengths, 1))).astype(int)
    counts = np.bincount(powers)
    return {str(2**power): int(count) for power, count in enumerate(counts) if count}
