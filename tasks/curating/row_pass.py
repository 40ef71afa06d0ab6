"""The first pass: every row before every row filter, and the few bytes of each row that are remembered."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.curating.answers import Answers
from tasks.curating.candidates import COLUMNS, candidates_of
from tasks.curating.step import Step
from tasks.curating.verdicts import Verdicts
from tasks.filters import Candidate, FilterContext
from tasks.filters.interface import PASSED
from tasks.task_types import TASK_TYPES

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


def look_at_rows(answers: Answers, steps: Sequence[Step], context: FilterContext, verdicts: Verdicts) -> RowFigures:
    """Show every row to every row filter.

    Args:
        answers: The rows.
        steps: The filters, in order.
        context: How answers are read.
        verdicts: Where findings go.

    Returns:
        What is remembered of the rows.
    """
    figures = RowFigures()
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in ("lengths", "labels", "splits", "tasks", "prompts")}
    wants_logprobs = "token_logprobs" in answers.table.schema.names and any(step.name == "confidence" for step in steps)
    columns = [*COLUMNS, "token_logprobs"] if wants_logprobs else list(COLUMNS)
    for rows in answers.batches(columns):
        candidates = candidates_of(rows)
        verdicts.add_rows(len(candidates))
        scores: list[dict[str, float]] = [{} for _ in candidates]
        for step in steps:
            with step.timed():
                findings = step.look(candidates)
            found = {place: finding for place, finding in enumerate(findings) if finding is not PASSED}
            verdicts.note(step, {place: finding.reason for place, finding in found.items() if finding.reason is not None})
            for place, finding in found.items():
                scores[place].update(finding.scores)
        verdicts.scores.append(scores)
        for name, values in _remembered(candidates, context, figures).items():
            chunks[name].append(values)
    verdicts.close_rows([step.name for step in steps])
    for name, parts in chunks.items():
        setattr(figures, name, np.concatenate([getattr(figures, name), *parts]))
    return figures


def _remembered(candidates: Sequence[Candidate], context: FilterContext, figures: RowFigures) -> dict[str, np.ndarray]:
    labels: list[int] = []
    for candidate in candidates:
        if not TASK_TYPES[candidate.task].is_closed:
            labels.append(NO_LABEL)
            continue
        label = context.read(candidate.task, candidate.completion)
        labels.append(NO_LABEL if label is None else _code(figures.names["labels"], label))
        read = (context.read(candidate.task, reference) for reference in candidate.references)
        figures.gold_labels.update(label for label in read if label is not None)
    return {
        "lengths": np.array([len(candidate.completion) for candidate in candidates], np.int32),
        "labels": np.array(labels, np.int32),
        "splits": _codes([candidate.split for candidate in candidates], figures.names["splits"]),
        "tasks": _codes([candidate.task for candidate in candidates], figures.names["tasks"]),
        "prompts": np.frombuffer(b"".join(map(_prompt_digest, candidates)), np.uint64),
    }


def _codes(values: Sequence[str], names: dict[str, int]) -> np.ndarray:
    for value in dict.fromkeys(values):
        _code(names, value)
    return np.array([names[value] for value in values], np.int32)


def _code(names: dict[str, int], value: str) -> int:
    return names.setdefault(value, len(names))


def _prompt_digest(candidate: Candidate) -> bytes:
    return hashlib.blake2b(f"{candidate.turn} {candidate.id}".encode(), digest_size=8).digest()
