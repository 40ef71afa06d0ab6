"""Blacking out personal data in the rows that are kept: the only change that curation ever makes to a text, and the last."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.core.array_columns import is_array_column
from tasks.core.personal_data import black_out
from tasks.core.records import Table
from tasks.core.tables import to_arrow
from tasks.filters.pii import Part


def redact_rows(rows: pa.Table, redacted: np.ndarray, parts: Sequence[Part]) -> pa.Table:
    """Return rows of a dataset, in order, with personal data blacked out in some.

    A redacted row has no tokens and no log-probabilities: they would tell the same as its text did.

    Args:
        rows: Of ``examples.parquet``.
        redacted: bool [rows]: in which.
        parts: In which of their texts; references count as answers.
    """
    if not redacted.any():
        return rows
    plain = [field.name for field in rows.schema if not is_array_column(field)]
    changed = [_redact(row, parts) for row in rows.filter(pa.array(redacted)).select(plain).to_pylist()]
    empty = {field.name: _no_tokens(field) for field in rows.schema if is_array_column(field)}
    new = to_arrow(Table("examples.parquet", rows.schema), [{**row, **empty} for row in changed])
    order = np.argsort(np.concatenate([np.flatnonzero(~redacted), np.flatnonzero(redacted)]))
    return pa.concat_tables([rows.filter(pa.array(~redacted)), new]).take(pa.array(order)).combine_chunks()


def _redact(row: dict[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
    if "answer" in parts:
        row["completion"] = black_out(row["completion"])[0]
        row["references"] = [black_out(reference)[0] for reference in row["references"]]
    if "reasoning" in parts and row["reasoning"] is not None:
        row["reasoning"] = black_out(row["reasoning"])[0]
    if "prompt" in parts:
        row["text"] = None if row["text"] is None else black_out(row["text"])[0]
        row["messages"] = [{**message, "content": black_out(message["content"])[0]} for message in row["messages"]]
    return {**row, "token_ids": []}


def _no_tokens(field: pa.Field) -> np.ndarray:
    inner: Any = field.type.value_type
    if pa.types.is_fixed_size_list(inner):
        return np.zeros((0, inner.list_size), inner.value_type.to_pandas_dtype())
    return np.zeros(0, inner.to_pandas_dtype())
