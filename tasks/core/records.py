"""The rows that travel between stages: a type for the code and a Parquet table for the disk, side by side."""

from dataclasses import dataclass
from typing import Literal, TypedDict

import pyarrow as pa

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Table:
    """A kind of rows on disk: the file they are in and their columns."""

    file: str
    schema: pa.Schema


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


class Prompt(TypedDict):
    """One validated prompt. Either ``messages`` (for a chat template) or ``text`` (continued as it stands) is set."""

    id: str
    messages: list[Message]
    text: str | None
    reference: str | None
    task: str
    split: Split


class Generation(TypedDict):
    """One teacher answer; ``key`` identifies it in the row ledger."""

    key: str
    answer: str
    token_ids: list[int]
    finish_reason: str
    prompt_tokens: int
    seed: int


class AnsweredPrompt(Prompt, Generation):
    """A teacher answer beside its prompt: a row of the ``generations`` artefact."""

    sample_index: int


class Example(TypedDict):
    """One training row; ``reasons`` says why a rejected one was rejected."""

    id: str
    messages: list[Message]
    text: str | None
    completion: str
    reference: str | None
    split: Split
    reasons: list[str]


class Prediction(TypedDict):
    """One model's answer to one test prompt."""

    id: str
    answer: str
    reference: str
    correct: bool
    finish_reason: str


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

PROMPTS = Table(
    "prompts.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("messages", _MESSAGES, nullable=False),
            pa.field("text", pa.string()),
            pa.field("reference", pa.string()),
            pa.field("task", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
        ]
    ),
)
GENERATIONS = Table(
    "generations.parquet",
    pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("answer", pa.string(), nullable=False),
            pa.field("token_ids", pa.list_(pa.int32()), nullable=False),
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
        ]
    ),
)
ANSWERED_PROMPTS = Table(
    "generations.parquet", pa.schema([*PROMPTS.schema, *GENERATIONS.schema, pa.field("sample_index", pa.int32(), nullable=False)])
)
EXAMPLES = Table(
    "examples.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("messages", _MESSAGES, nullable=False),
            pa.field("text", pa.string()),
            pa.field("completion", pa.string(), nullable=False),
            pa.field("reference", pa.string()),
            pa.field("split", pa.string(), nullable=False),
            pa.field("reasons", pa.list_(pa.string()), nullable=False),
        ]
    ),
)
REJECTED = Table("rejected.parquet", EXAMPLES.schema)
PREDICTIONS = Table(
    "predictions.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("answer", pa.string(), nullable=False),
            pa.field("reference", pa.string(), nullable=False),
            pa.field("correct", pa.bool_(), nullable=False),
            pa.field("finish_reason", pa.string(), nullable=False),
        ]
    ),
)
