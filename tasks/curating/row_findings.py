"""What the row filters find in a batch of rows, and what is remembered of each: found here, or by others in their spans."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.curating.answers import Answers
from tasks.curating.candidates import COLUMNS, candidates_of
from tasks.curating.step import Step
from tasks.filters import Candidate, FilterContext
from tasks.filters.interface import PASSED
from tasks.task_types import TASK_TYPES


@dataclass(frozen=True)
class RowFindings:
    """What was found in a batch of rows; places count from its first row."""

    reasons: Mapping[str, Mapping[int, str]]
    """By filter: the reasons against rows, by place."""
    scores: Sequence[Mapping[str, float]]
    """Of every row, by name."""
    lengths: Sequence[int]
    """Characters of every answer."""
    labels: Sequence[str | None]
    """The label that the answer of a closed task is; None: none."""
    gold_labels: Sequence[Sequence[str]]
    """The labels among the references of a closed task."""
    splits: Sequence[str]
    tasks: Sequence[str]
    prompts: np.ndarray
    """uint64 [rows]: digest of the prompt's id and turn."""


FindInRows = Callable[[Answers, Sequence[Step], FilterContext], Iterator[RowFindings]]
"""Shows all rows to row filters and yields what is found, batch by batch, in the order of the rows."""


def find_here(
    answers: Answers, steps: Sequence[Step], context: FilterContext, rows: range | None = None
) -> Iterator[RowFindings]:
    """Show rows to every row filter, in this process.

    Args:
        answers: The rows.
        steps: The filters, in order; the time that each takes is added to its own.
        context: How answers are read.
        rows: Only these rows of the file, a range of step 1; None: all.
    """
    wants_logprobs = "token_logprobs" in answers.table.schema.names and any(step.name == "confidence" for step in steps)
    for batch in answers.batches([*COLUMNS, "token_logprobs"] if wants_logprobs else COLUMNS, rows):
        candidates = candidates_of(batch)
        reasons: dict[str, dict[int, str]] = {}
        scores: list[dict[str, float]] = [{} for _ in candidates]
        for step in steps:
            with step.timed():
                findings = step.look(candidates)
            found = {place: finding for place, finding in enumerate(findings) if finding is not PASSED}
            reasons[step.name] = {place: finding.reason for place, finding in found.items() if finding.reason is not None}
            for place, finding in found.items():
                scores[place].update(finding.scores)
        yield RowFindings(
            reasons=reasons,
            scores=scores,
            lengths=[len(candidate.completion) for candidate in candidates],
            labels=[_label(candidate, context) for candidate in candidates],
            gold_labels=[_gold_labels(candidate, context) for candidate in candidates],
            splits=[candidate.split for candidate in candidates],
            tasks=[candidate.task for candidate in candidates],
            prompts=np.frombuffer(b"".join(map(_prompt_digest, candidates)), np.uint64),
        )


def _label(candidate: Candidate, context: FilterContext) -> str | None:
    return context.read(candidate.task, candidate.completion) if TASK_TYPES[candidate.task].is_closed else None


def _gold_labels(candidate: Candidate, context: FilterContext) -> list[str]:
    if not TASK_TYPES[candidate.task].is_closed:
        return []
    read = (context.read(candidate.task, reference) for reference in candidate.references)
    return [label for label in read if label is not None]


def _prompt_digest(candidate: Candidate) -> bytes:
    return hashlib.blake2b(f"{candidate.turn} {candidate.id}".encode(), digest_size=8).digest()
