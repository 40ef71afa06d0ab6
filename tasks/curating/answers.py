"""The rows that are curated: a teacher's answers, or the user's own references in their place, as Arrow batches of one form."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.artifact import Artifact, open_file
from tasks.core.records import ANSWERED_PROMPTS, EXAMPLES, PROMPTS, Table, logprobs_width, with_logprobs
from tasks.core.tables import read_batches

_REFERENCE: dict[str, Any] = {
    "teacher": None,
    "reasoning": None,
    "finish_reason": "stop",
    "token_ids": [],
    "sample_index": 0,
    "turn": 0,
}
"""What a reference has in the place of a teacher's fields."""


class Answers:
    """Answered prompts as training examples that nobody has judged yet; they can be streamed again and again."""

    def __init__(self, prompts: Artifact, generations: Artifact | None) -> None:
        """Look at answers.

        Args:
            prompts: A ``prompts`` artefact.
            generations: The teacher's answers to them. Without them the first reference of every prompt is its answer.
        """
        self._prompts, self._generations = prompts, generations

    @property
    def are_references(self) -> bool:
        """Whether the answers are the user's own, which no teacher has given."""
        return self._generations is None

    @cached_property
    def table(self) -> Table:
        """The kind of rows that are made of them, with log-probabilities if they have any."""
        width = None if self._generations is None else logprobs_width(pq.read_schema(self._path))
        return with_logprobs(EXAMPLES, width)

    @property
    def file_rows(self) -> int:
        """Rows of the file that they are read from; of prompts, those without a reference count too."""
        return pq.read_metadata(self._path).num_rows

    def batches(self, columns: Sequence[str], rows: range | None = None) -> Iterator[pa.Table]:
        """Yield the rows, in the same order each time.

        Args:
            columns: Names of columns of ``table``, but for ``reasons``.
            rows: Only those in these rows of the file, a range of step 1; None: all.

        Raises:
            DataError: If the file is torn or of another form.
        """
        if self._generations is None:
            for prompts in read_batches(self._path, PROMPTS, rows=rows):
                yield _as_answers(prompts).select(columns)
            return
        stored = Table(ANSWERED_PROMPTS.file, with_logprobs(ANSWERED_PROMPTS, logprobs_width(self.table.schema)).schema)
        names = ["answer" if name == "completion" else name for name in columns]
        for batch in read_batches(self._path, stored, names, rows):
            yield pa.Table.from_batches([batch]).select(names).rename_columns(list(columns))

    @cached_property
    def _path(self) -> Path:
        if self._generations is None:
            return open_file(self._prompts, PROMPTS.file)
        return open_file(self._generations, ANSWERED_PROMPTS.file)


def _as_answers(prompts: pa.RecordBatch) -> pa.Table:
    rows = pa.Table.from_batches([prompts])
    has_answer = [
        split != "test" and bool(references)
        for split, references in zip(rows["split"].to_pylist(), rows["references"].to_pylist(), strict=True)
    ]
    rows = rows.filter(pa.array(has_answer, pa.bool_()))
    # Plain text is continued where the prompt stops, so its answer starts with the space between the words.
    answers = [
        references[0] if text is None else f" {references[0]}"
        for text, references in zip(rows["text"].to_pylist(), rows["references"].to_pylist(), strict=True)
    ]
    rows = rows.append_column("completion", pa.array(answers, pa.string()))
    for name, value in _REFERENCE.items():
        rows = rows.append_column(name, pa.array([value] * len(rows), EXAMPLES.schema.field(name).type))
    return rows
