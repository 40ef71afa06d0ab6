"""The last pass: kept rows, rejected rows with reasons and scores, and the annotations of all, in one reading."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.core.records import ANNOTATIONS, REJECTED, Table
from tasks.core.tables import TableWriter
from tasks.curating.answers import Answers
from tasks.curating.redacting import redact_rows
from tasks.curating.verdicts import Verdicts
from tasks.filters.pii import Part


def write_rows(answers: Answers, verdicts: Verdicts, folder: Path, redacted: np.ndarray, parts: Sequence[Part]) -> None:
    """Write examples.parquet, rejected.parquet and annotations.parquet.

    Args:
        answers: All rows.
        verdicts: What was found out about them.
        folder: Where the files go.
        redacted: bool [rows]: personal data is blacked out in these.
        parts: In which of their texts.
    """
    names = [name for name in answers.table.schema.names if name != "reasons"]
    start = 0
    with ExitStack() as stack:
        examples, rejected, annotations = (
            stack.enter_context(TableWriter(folder / table.file, table)) for table in (answers.table, REJECTED, ANNOTATIONS)
        )
        for rows in answers.batches(names):
            here = slice(start, start + len(rows))
            kept = pa.array(verdicts.kept[here])
            annotated = rows.append_column("kept", kept)
            annotated = annotated.append_column("reasons", pa.array(verdicts.reasons_of(start, len(rows)), pa.list_(pa.string())))
            annotated = annotated.append_column("scores", scores_of(verdicts, start, len(rows)))
            annotations.write(_shaped(annotated, ANNOTATIONS))
            rejected.write(_shaped(annotated.filter(pa.array(~verdicts.kept[here])), REJECTED))
            chosen = annotated.filter(kept)
            examples.write(redact_rows(_shaped(chosen, answers.table), redacted[here][verdicts.kept[here]], parts))
            start += len(rows)


def scores_of(verdicts: Verdicts, start: int, count: int) -> pa.MapArray:
    """Return the scores of some rows in a row, by name; a row has only those that it was given."""
    names = verdicts.scores.names
    if not names:
        return pa.array([[]] * count, ANNOTATIONS.schema.field("scores").type)
    values = np.stack([verdicts.scores.read(name, start, count) for name in names], axis=1)
    there = ~np.isnan(values)
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    keys = pa.array(names).take(pa.array(np.nonzero(there)[1]))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, pa.array(values[there].astype(np.float64)))


def _shaped(rows: pa.Table, table: Table) -> pa.Table:
    return rows.select(table.schema.names).cast(table.schema)
