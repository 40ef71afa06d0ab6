"""The rows that travel between stages: a type for the code and a Parquet table for the disk, side by side."""

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import numpy as np
import pyarrow as pa

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LOGPROBS = "logprobs"
"""Summary field of a dataset: the settings with which its log-probabilities were taken; None without any."""


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
    references: list[str]
    """Accepted answers, the first of which is trained on; empty: none is known."""
    task: str
    split: Split
    tags: list[tuple[str, str]]
    """Fields of the source row that were kept, by name."""


class Generation(TypedDict):
    """One teacher answer; ``key`` identifies it in the row ledger."""

    key: str
    teacher: str
    """Who gave it: a model's source or an endpoint's model id."""
    answer: str
    reasoning: str | None
    """Thinking that came before the answer, if it was kept apart."""
    token_ids: list[int]
    """All sampled tokens, reasoning and end of turn included; empty when an endpoint does not tell them."""
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seed: int
    token_logprobs: NotRequired[np.ndarray]
    """float16 [tokens]: of every token of ``token_ids``, given all before it."""
    top_ids: NotRequired[np.ndarray]
    """uint32 [tokens, k]: candidates in the place of every token."""
    top_logprobs: NotRequired[np.ndarray]
    """float16 [tokens, k]: of the candidates."""


class AnsweredPrompt(Prompt, Generation):
    """A teacher answer beside its prompt: a row of the ``generations`` artefact."""

    sample_index: int
    turn: int
    """Which assistant turn of the conversation this is, from 0; ``messages`` end before it."""


class Example(TypedDict):
    """One training row; ``reasons`` says what speaks against it: of a kept one, what filters only annotate."""

    id: str
    sample_index: int
    turn: int
    """As in ``AnsweredPrompt``; with ``id``, what identifies the row."""
    task: str
    messages: list[Message]
    text: str | None
    completion: str
    references: list[str]
    split: Split
    teacher: str | None
    """Who gave the answer; None for a reference."""
    reasoning: str | None
    """Thinking that came before the answer, if it was kept apart."""
    finish_reason: str
    token_ids: list[int]
    """The teacher's own tokens, reasoning and end of turn included; empty for a reference."""
    reasons: list[str]
    token_logprobs: NotRequired[np.ndarray]
    """As in ``Generation``."""
    top_ids: NotRequired[np.ndarray]
    top_logprobs: NotRequired[np.ndarray]


class Prediction(TypedDict):
    """One model's answer to one test prompt."""

    id: str
    task: str
    completion: str
    """As the model said it."""
    answer: str | None
    """As the task type reads it; None: invalid."""
    references: list[str]
    scores: list[tuple[str, float]]
    """Metrics of this answer by name, the task type's primary one among them; empty where only a judge can tell."""
    finish_reason: str
    completion_tokens: int


class Sample(TypedDict):
    """One of several sampled answers to a test prompt, which are put to the vote."""

    id: str
    sample_index: int
    completion: str
    answer: str | None
    """As the task type reads it; None: invalid."""
    finish_reason: str
    completion_tokens: int


_TEXTS = pa.list_(pa.string())
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

PROMPTS = Table(
    "prompts.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("messages", _MESSAGES, nullable=False),
            pa.field("text", pa.string()),
            pa.field("references", _TEXTS, nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("tags", pa.map_(pa.string(), pa.string()), nullable=False),
        ]
    ),
)
GENERATIONS = Table(
    "generations.parquet",
    pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("teacher", pa.string(), nullable=False),
            pa.field("answer", pa.string(), nullable=False),
            pa.field("reasoning", pa.string()),
            pa.field("token_ids", pa.list_(pa.int32()), nullable=False),
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("completion_tokens", pa.int32(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
        ]
    ),
)
_PLACE = [pa.field("sample_index", pa.int32(), nullable=False), pa.field("turn", pa.int32(), nullable=False)]
ANSWERED_PROMPTS = Table("generations.parquet", pa.schema([*PROMPTS.schema, *GENERATIONS.schema, *_PLACE]))


def with_logprobs(table: Table, width: int | None) -> Table:
    """Return a table of answers with the columns of their log-probabilities: lists that are as long as ``token_ids``.

    Args:
        table: ``GENERATIONS``, ``ANSWERED_PROMPTS`` or ``EXAMPLES``.
        width: Candidates kept at every token; 0: only the sampled token's own; None: no such columns.
    """
    if width is None:
        return table
    columns = [pa.field("token_logprobs", pa.list_(pa.float16()), nullable=False)]
    if width:
        columns += [
            pa.field("top_ids", pa.list_(pa.list_(pa.uint32(), width)), nullable=False),
            pa.field("top_logprobs", pa.list_(pa.list_(pa.float16(), width)), nullable=False),
        ]
    return Table(table.file, pa.schema([*table.schema, *columns]))


def logprobs_width(schema: pa.Schema) -> int | None:
    """Return the ``width`` with which ``with_logprobs`` made the columns of a file."""
    if "token_logprobs" not in schema.names:
        return None
    return schema.field("top_ids").type.value_type.list_size if "top_ids" in schema.names else 0


EXAMPLES = Table(
    "examples.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            *_PLACE,
            pa.field("task", pa.string(), nullable=False),
            pa.field("messages", _MESSAGES, nullable=False),
            pa.field("text", pa.string()),
            pa.field("completion", pa.string(), nullable=False),
            pa.field("references", _TEXTS, nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("teacher", pa.string()),
            pa.field("reasoning", pa.string()),
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("token_ids", pa.list_(pa.int32()), nullable=False),
            pa.field("reasons", _TEXTS, nullable=False),
        ]
    ),
)
_SCORES = pa.field("scores", pa.map_(pa.string(), pa.float64()), nullable=False)
REJECTED = Table("rejected.parquet", pa.schema([*EXAMPLES.schema, _SCORES]))
"""Its log-probabilities are in the generations, where ``id``, ``sample_index`` and ``turn`` find them."""
ANNOTATIONS = Table(
    "annotations.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            *_PLACE,
            pa.field("teacher", pa.string()),
            pa.field("kept", pa.bool_(), nullable=False),
            pa.field("reasons", _TEXTS, nullable=False),
            _SCORES,
        ]
    ),
)
"""What the filters found out about every answer, kept or not."""
PREDICTIONS = Table(
    "predictions.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("completion", pa.string(), nullable=False),
            pa.field("answer", pa.string()),
            pa.field("references", _TEXTS, nullable=False),
            _SCORES,
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("completion_tokens", pa.int32(), nullable=False),
        ]
    ),
)
SAMPLES = Table(
    "samples.parquet",
    pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("sample_index", pa.int32(), nullable=False),
            pa.field("completion", pa.string(), nullable=False),
            pa.field("answer", pa.string()),
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("completion_tokens", pa.int32(), nullable=False),
        ]
    ),
)
