"""One vector a row, on disk: the mean of its tokens' vectors, less the mean of all rows, of the length 1."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.core.errors import SettingsError
from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import CandidateSet
from tasks.filters.meaning.token_table import token_table
from tasks.filters.row_keys import row_keys

_CHUNK_ROWS = 8192
_CHUNK_TOKENS = 1 << 18
_SAMPLED_ROWS = 2000
_QUANTILES = (0.5, 0.9, 0.99, 0.999)


class RowVectors(NamedTuple):
    """The rows of a set as vectors."""

    vectors: np.ndarray
    """float16 [rows, directions], mapped from a file; all zeros for a row without tokens."""
    keys: np.ndarray
    """What identifies the rows, uint64 [rows]."""

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of some rows, by number, as float32 [rows, directions]."""
        return self.vectors[rows].astype(np.float32)

    def sample(self, count: int) -> np.ndarray:
        """Return the numbers of some rows that are drawn by their keys: the same ones in whatever order the rows come."""
        return np.argsort(self.keys)[:count]

    def random_cosines(self) -> dict[str, float]:
        """Return quantiles of the cosine of two rows that are drawn at random: what is alike must be well above."""
        drawn = self.of(self.sample(_SAMPLED_ROWS))
        cosines = (drawn @ drawn.T)[np.triu_indices(len(drawn), 1)]
        if not len(cosines):
            return {}
        return {f"p{100 * share:g}": round(float(np.quantile(cosines, share)), 4) for share in _QUANTILES}


def embed_rows(rows: CandidateSet, context: FilterContext) -> RowVectors:
    """Write the vectors of all rows to the set's scratch folder.

    Args:
        rows: The candidates; prompt and answer together are embedded.
        context: Knows the student's weights.

    Raises:
        SettingsError: If there is no student whose embeddings could be taken.
        ModelError: If they cannot be found.
    """
    if context.student_weights is None:
        raise SettingsError(
            "rows are compared by meaning with the student's embeddings, and there is no student; set the filter off"
        )
    from transformers import AutoTokenizer

    tokenizer, table = AutoTokenizer.from_pretrained(context.student_weights), token_table(context.student_weights)
    file = rows.scratch / "vectors"
    vectors = np.memmap(file, np.float16, "w+", shape=(max(len(rows), 1), table.shape[1]))[: len(rows)]
    keys, total = np.zeros(len(rows), np.uint64), np.zeros(table.shape[1])
    for numbers, candidates in rows.batches():
        keys[numbers] = row_keys(candidates)
        found = _unit(_mean_vectors(_token_ids(tokenizer, candidates), table))
        vectors[numbers] = found
        total += found.sum(axis=0)
    mean = (total / max(len(rows), 1)).astype(np.float32)
    for first in range(0, len(rows), _CHUNK_ROWS):
        chunk = vectors[first : first + _CHUNK_ROWS].astype(np.float32)
        empty = ~chunk.any(axis=1, keepdims=True)
        vectors[first : first + _CHUNK_ROWS] = _unit(np.where(empty, 0, chunk - mean))
    return RowVectors(vectors, keys)


def _token_ids(tokenizer: Any, candidates: Sequence[Candidate]) -> list[list[int]]:
    texts = ["\n".join([*candidate.prompt_texts(), candidate.completion]) for candidate in candidates]
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def _mean_vectors(texts: list[list[int]], table: np.ndarray) -> np.ndarray:
    means = np.zeros((len(texts), table.shape[1]), np.float32)
    for place, ids in enumerate(texts):
        if ids:
            means[place] = table[np.asarray(ids[:_CHUNK_TOKENS]) % len(table)].mean(axis=0)
    return means


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
