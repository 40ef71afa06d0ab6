"""The first pass: what is found in every row, batch by batch, and the few bytes of each row that are remembered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.curating.row_findings import RowFindings
from tasks.curating.step import Step
from tasks.curating.verdicts import Verdicts

NO_LABEL = -1


@dataclass
class RowFigures:
    """What is remembered of every row: 21 bytes. Codes count the distinct values in the order in which they came."""

    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """int32 [rows]: characters of the answer."""
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """int32 [rows]: code of the label that a closed task's answer is; -1: none."""
    splits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    tasks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    prompts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    """uint64 [rows]: digest of the prompt's id and turn."""
    names: dict[str, dict[str, int]] = field(default_factory=lambda: {"labels": {}, "splits": {}, "tasks": {}})
    """Codes by value, for each of the three."""
    gold_labels: set[str] = field(default_factory=set)
    """Labels of closed tasks among the references of the rows."""


def take_in_rows(findings: Iterable[RowFindings], steps: Sequence[Step], verdicts: Verdicts) -> RowFigures:
    """Take in what was found in the rows.

    Args:
        findings: Of all rows, in order.
        steps: The filters that looked, in order; what they reject is counted there.
        verdicts: Where reasons and scores go.

    Returns:
        What is remembered of the rows.
    """
    figures = RowFigures()
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in ("lengths", "labels", "splits", "tasks", "prompts")}
    for batch in findings:
        verdicts.add_rows(len(batch.scores))
        for step in steps:
            verdicts.note(step, batch.reasons.get(step.name, {}))
        verdicts.scores.append(batch.scores)
        figures.gold_labels.update(label for labels in batch.gold_labels for label in labels)
        remembered = {
            "lengths": np.array(batch.lengths, np.int32),
            "labels": _codes(batch.labels, figures.names["labels"]),
            "splits": _codes(batch.splits, figures.names["splits"]),
            "tasks": _codes(batch.tasks, figures.names["tasks"]),
            "prompts": batch.prompts,
        }
        for name, values in remembered.items():
            chunks[name].append(values)
    verdicts.close_rows([step.name for step in steps])
    for name, parts in chunks.items():
        setattr(figures, name, np.concatenate([getattr(figures, name), *parts]))
    return figures


def _codes(values: Sequence[str | None], names: dict[str, int]) -> np.ndarray:
    for value in dict.fromkeys(values):
        if value is not None:
            names.setdefault(value, len(names))
    return np.array([NO_LABEL if value is None else names[value] for value in values], np.int32)
