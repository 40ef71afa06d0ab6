"""What is kept of texts that a model followed token by token: sums over each text, and the teacher's candidates."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.records import Table, logprobs_width, with_logprobs
from tasks.core.tables import read_table


class FidelityRow(TypedDict):
    """One test item; sums run over the tokens of a text, in nats (natural logarithms), and are 0 where there is no text."""

    id: str
    answer_tokens: int
    """Of the teacher's answer, its end of turn included; 0 where the teacher's tokens cannot be compared with the model's."""
    answer_nats: float
    """-log of the model's probability of the teacher's answer."""
    divergence_nats: float
    """KL(teacher || model), from below; of the teacher itself 0."""
    agreeing_tokens: int
    """Places in which the model's likeliest token is the teacher's; of the teacher itself all of them."""
    covered: float
    """The teacher's probability that its candidates hold."""
    reference_tokens: int
    reference_nats: float
    """-log of the model's probability of the first reference."""


class Candidates(TypedDict):
    """One answer of the teacher with its likeliest tokens in every place."""

    key: str
    """The prompt's id."""
    token_ids: list[int]
    token_logprobs: np.ndarray
    """float16 [tokens]"""
    top_ids: np.ndarray
    """uint32 [tokens, k]"""
    top_logprobs: np.ndarray
    """float16 [tokens, k]"""


FIDELITY = Table(
    "fidelity.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("answer_tokens", pa.int32(), nullable=False),
            pa.field("answer_nats", pa.float64(), nullable=False),
            pa.field("divergence_nats", pa.float64(), nullable=False),
            pa.field("agreeing_tokens", pa.int32(), nullable=False),
            pa.field("covered", pa.float64(), nullable=False),
            pa.field("reference_tokens", pa.int32(), nullable=False),
            pa.field("reference_nats", pa.float64(), nullable=False),
        ]
    ),
)
CANDIDATES = "candidates.parquet"


def candidates_table(width: int) -> Table:
    """Return the kind of rows that ``Candidates`` are with this many candidates."""
    answers = [pa.field("key", pa.string(), nullable=False), pa.field("token_ids", pa.list_(pa.int32()), nullable=False)]
    return with_logprobs(Table(CANDIDATES, pa.schema(answers)), width)


def read_candidates(file: Path) -> Iterator[Candidates]:
    """Yield the rows of a teacher's candidates."""
    width = logprobs_width(pq.read_schema(file))
    yield from read_table(file, candidates_table(width or 0))
