"""The first pass beyond one machine: spans of the rows are filtered by others, who leave annotation columns in the store.

A row filter looks at every row by itself, so that what is found in all spans, one after the other, is what one process finds. A
span whose columns are in the store is done: who is started again has only the others filtered.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from tasks.core.artifact import Artifact
from tasks.core.environment import prepare_libraries
from tasks.core.records import Table
from tasks.core.storage import Store
from tasks.core.tables import TableWriter, read_batches, to_arrow
from tasks.curating.answers import Answers
from tasks.curating.row_findings import RowFindings, find_here
from tasks.curating.step import Step
from tasks.curating.steps import filter_context, make_steps
from tasks.filters import ROW_FILTERS, FilterContext
from tasks.filters.settings import FiltersSettings

FINDINGS = Table(
    "rows.parquet",
    pa.schema(
        [
            pa.field("reasons", pa.map_(pa.string(), pa.string()), nullable=False),
            pa.field("scores", pa.map_(pa.string(), pa.float64()), nullable=False),
            pa.field("length", pa.int32(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("gold_labels", pa.list_(pa.string()), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("prompt", pa.uint64(), nullable=False),
        ]
    ),
)
"""What is kept of every row of a span: the fields of ``RowFindings``; reasons are by filter."""


class SpanInputs(BaseModel):
    """What whoever filters a span of the rows needs; a parameter of flow runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: FiltersSettings
    prompts: Artifact
    student: Artifact
    generations: Artifact | None = None
    judgements: Artifact | None = None
    spans: int = Field(ge=1, le=1024)
    """How many spans the rows are divided into."""


class SpannedRows:
    """Has the rows filtered in spans that others work on; a ``FindInRows``."""

    def __init__(self, store: Store, folder: str, spans: int, work: Callable[[Sequence[int]], None]) -> None:
        """Say where the spans' columns lie and who works on them.

        Args:
            store: Where the columns go.
            folder: Key of a folder for them that nobody else uses; the files stay, for who begins again to find them.
            spans: How many.
            work: Has ``filter_span`` called for every one of the given spans, anywhere, and returns once all are done.
        """
        self._store, self._folder, self._spans, self._work = store, folder, spans, work

    def __call__(self, answers: Answers, steps: Sequence[Step], context: FilterContext) -> Iterator[RowFindings]:
        """Yield what is found in all rows, as ``find_here`` does."""
        del answers, context
        self._work([span for span in range(self._spans) if self._store.size(_columns_key(self._folder, span)) is None])
        for span in range(self._spans):
            seconds = json.loads(self._store.read(_seconds_key(self._folder, span)))
            for step in steps:
                step.seconds += seconds[step.name]
            for batch in read_batches(self._store.local_path(_columns_key(self._folder, span)), FINDINGS):
                yield _findings(batch)


def filter_span(store: Store, folder: str, span: int, inputs: SpanInputs) -> None:
    """Show the rows of one span to every row filter, and leave what is found in the store.

    Args:
        store: Where it goes.
        folder: Key of the folder of all spans.
        span: Its number, from 0.
        inputs: The rows and the filters.
    """
    prepare_libraries()
    answers = Answers(inputs.prompts, inputs.generations)
    context = filter_context(inputs.prompts, inputs.student, inputs.judgements)
    steps = make_steps(ROW_FILTERS, inputs.filters, context, answers.are_references)
    first, last = (answers.file_rows * place // inputs.spans for place in (span, span + 1))
    with tempfile.TemporaryDirectory(dir=store.scratch("curating")) as scratch:
        path = Path(scratch) / FINDINGS.file
        with TableWriter(path, FINDINGS) as writer:
            for findings in find_here(answers, steps, context, range(first, last)):
                writer.write(to_arrow(FINDINGS, _rows(findings)))
        store.write(_seconds_key(folder, span), json.dumps({step.name: step.seconds for step in steps}).encode())
        store.upload(path, _columns_key(folder, span))


def _rows(findings: RowFindings) -> list[dict[str, Any]]:
    reasons: list[list[tuple[str, str]]] = [[] for _ in findings.scores]
    for name, found in findings.reasons.items():
        for place, reason in found.items():
            reasons[place].append((name, reason))
    columns = {
        "reasons": reasons,
        "scores": [list(scores.items()) for scores in findings.scores],
        "length": findings.lengths,
        "label": findings.labels,
        "gold_labels": findings.gold_labels,
        "split": findings.splits,
        "task": findings.tasks,
        "prompt": findings.prompts.tolist(),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _findings(batch: pa.RecordBatch) -> RowFindings:
    columns = {name: batch[name].to_pylist() for name in batch.schema.names if name != "prompt"}
    reasons: dict[str, dict[int, str]] = {}
    for place, found in enumerate(columns["reasons"]):
        for name, reason in found:
            reasons.setdefault(name, {})[place] = reason
    return RowFindings(
        reasons=reasons,
        scores=[dict(scores) for scores in columns["scores"]],
        lengths=columns["length"],
        labels=columns["label"],
        gold_labels=columns["gold_labels"],
        splits=columns["split"],
        tasks=columns["task"],
        prompts=batch["prompt"].to_numpy(),
    )


def _columns_key(folder: str, span: int) -> str:
    return f"{folder}/{span:04d}-rows.parquet"


def _seconds_key(folder: str, span: int) -> str:
    return f"{folder}/{span:04d}.json"
