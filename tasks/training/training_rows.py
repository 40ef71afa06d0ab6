"""The rows of a training on disk: tokens in an Arrow file, the teacher's candidates in flat arrays beside it, both mapped.

Neither is held in memory whole: 64 candidates a token are a gigabyte for every 2.6 million tokens.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from tasks.core.errors import DataError
from tasks.core.records import EXAMPLES, Split, logprobs_width, with_logprobs
from tasks.core.tables import read_table
from tasks.training.combining import combined_rows, weighted_rows
from tasks.training.encoding import EncodedRow, Encoder
from tasks.training.settings import LOGPROB_METHODS, TrainingSettings

IGNORED = -100
"""Label of a token whose prediction does not count in the loss."""

_SCHEMA = pa.schema(
    [
        pa.field("input_ids", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.int32())),
        pa.field("length", pa.int32()),
        pa.field("weight", pa.float32()),
        pa.field("row", pa.int64()),
        pa.field("split", pa.string()),
    ]
)
_BATCH_ROWS = 1024
_SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Candidates:
    """The teacher's candidates of a split: those of row r are ``ids[offsets[r]:offsets[r + 1]]``, [counted tokens, width]."""

    ids: np.ndarray
    logprobs: np.ndarray
    offsets: np.ndarray

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the candidates of a row: uint32 ids and float16 log-probabilities, [counted tokens, width]."""
        place = slice(self.offsets[row], self.offsets[row + 1])
        return self.ids[place], self.logprobs[place]


@dataclass(frozen=True)
class TrainingRows:
    """One split; ``candidates`` are None for the text methods."""

    dataset: Dataset
    candidates: Candidates | None


def prepare_rows(
    examples: Path, folder: Path, encoder: Encoder, settings: TrainingSettings
) -> tuple[dict[str, TrainingRows], dict[str, Any]]:
    """Encode all examples.

    Args:
        examples: Parquet file of examples.
        folder: Where the encoded rows go; it is written anew, the same examples give the same files.
        encoder: Encodes one row.
        settings: How the student is trained.

    Returns:
        The splits ``train`` and ``validation``, and the findings: rows, tokens, and what was cut or set aside and why.

    Raises:
        DataError: If more rows cannot be used than ``max_unusable_ratio`` allows, or none can.
    """
    folder.mkdir(parents=True, exist_ok=True)
    width = logprobs_width(pq.read_schema(examples)) if settings.method in LOGPROB_METHODS else None
    writers = {split: _SplitWriter(folder, split, width) for split in _SPLITS}
    reasons: Counter[str] = Counter()
    total = 0
    rows = combined_rows if settings.distillation.combine_teachers and width else weighted_rows
    for row, weight in rows(lambda: read_table(examples, with_logprobs(EXAMPLES, width)), settings):
        total += 1
        encoded = encoder.encode(row)
        if isinstance(encoded, str):
            reasons[encoded] += 1
        else:
            writers[row["split"]].add(encoded, weight)
    splits = {split: writer.close() for split, writer in writers.items()}
    findings = {
        "rows": {split: writer.rows for split, writer in writers.items()},
        "tokens": {split: writer.tokens for split, writer in writers.items()},
        "answer_tokens": {split: writer.answer_tokens for split, writer in writers.items()},
        "truncated_rows": sum(writer.cut_rows for writer in writers.values()),
        "truncated_tokens": sum(writer.cut_tokens for writer in writers.values()),
        "set_aside": dict(reasons),
    }
    _check(findings, total, settings)
    return splits, findings


class _SplitWriter:
    """Writes one split, some rows at a time."""

    def __init__(self, folder: Path, split: str, width: int | None) -> None:
        self._path, self._split, self._width = folder / f"{split}.arrow", split, width
        self._arrow = pa.ipc.new_stream(str(self._path), _SCHEMA)
        self._ids_path, self._logprobs_path = folder / f"{split}.ids", folder / f"{split}.logprobs"
        self._files: tuple[BinaryIO, ...] = (self._ids_path.open("wb"), self._logprobs_path.open("wb")) if width else ()
        self._offsets = [0]
        self._waiting: list[dict[str, Any]] = []
        self.rows = self.tokens = self.answer_tokens = self.cut_rows = self.cut_tokens = 0

    def add(self, row: EncodedRow, weight: float) -> None:
        labels = [token if counted else IGNORED for token, counted in zip(row.input_ids, row.counted, strict=True)]
        tokens = {"input_ids": row.input_ids, "labels": labels}
        self._waiting.append({**tokens, "length": len(labels), "weight": weight, "row": self.rows, "split": self._split})
        if self._files and row.top_ids is not None and row.top_logprobs is not None:
            for file, values in zip(self._files, (row.top_ids, row.top_logprobs), strict=True):
                file.write(np.ascontiguousarray(values).tobytes())
            self._offsets.append(self._offsets[-1] + len(row.top_ids))
        self.rows += 1
        self.tokens += len(labels)
        self.answer_tokens += sum(row.counted)
        self.cut_rows += row.cut_tokens > 0
        self.cut_tokens += row.cut_tokens
        if len(self._waiting) >= _BATCH_ROWS:
            self._flush()

    def close(self) -> TrainingRows:
        self._flush()
        self._arrow.close()
        for file in self._files:
            file.close()
        dataset: Any = Dataset.from_file(str(self._path)) if self.rows else Dataset.from_dict({})
        return TrainingRows(dataset, self._candidates())

    def _candidates(self) -> Candidates | None:
        if self._width is None or not self._offsets[-1]:
            return None
        shape = (self._offsets[-1], self._width)
        ids = np.memmap(self._ids_path, np.uint32, "r", shape=shape)
        return Candidates(ids, np.memmap(self._logprobs_path, np.float16, "r", shape=shape), np.asarray(self._offsets))

    def _flush(self) -> None:
        if self._waiting:
            self._arrow.write_table(pa.Table.from_pylist(self._waiting, schema=_SCHEMA))
            self._waiting = []


def _check(findings: dict[str, Any], total: int, settings: TrainingSettings) -> None:
    unusable = sum(findings["set_aside"].values())
    if not findings["rows"]["train"] or unusable > settings.max_unusable_ratio * total:
        raise DataError(
            f"{unusable} of {total} rows cannot be trained on by {settings.method} ({json.dumps(findings['set_aside'])}), "
            f"{findings['rows']['train']} are left for training; student.training.max_unusable_ratio allows "
            f"{100 * settings.max_unusable_ratio:.0f} %. no_logprobs: ask for generations.logprobs; other_tokens: the answer is "
            "not what the teacher's tokens say, in the student's tokenizer; reasoning_not_trained_on: set train_on to "
            "reasoning_and_answer; too_long: raise max_length_tokens, or set over_long_rows to truncate"
        )
