"""What the process of the harness is given and what it gives back; light, so that neither side loads the other's libraries."""

from pathlib import Path

from pydantic import BaseModel


class Item(BaseModel):
    """One test item as our evaluation left it."""

    id: str
    task: str
    messages: list[dict[str, str]]
    text: str | None
    references: list[str]
    completion: str
    finish_reason: str
    score: float | None
    """By the metric that the harness has too; None where it has none of the same meaning."""


class HarnessJob(BaseModel):
    """What to run, and where the result goes."""

    weights: Path
    """Folder of the model's weights and tokenizer."""
    items: list[Item]
    dtype: str
    max_new_tokens: int
    max_length_tokens: int
    """Of prompt and answer together."""
    stop: list[str]
    workspace: Path
    result: Path
    """JSON file to write."""


class HarnessItem(BaseModel):
    """One test item as the harness found it."""

    same_prompt: bool
    """Its tokens are those that our engine is given, and the harness asked with the text that we wrote."""
    completion: str
    score: float | None
    """None where texts alone are compared."""
    regret: float | None
    """0 where both texts are the same; else how much more probable, in nats, the model of the harness holds its own choice at the
    first token where ours differs. None: there is no such token, for ours ended where it may not."""


class HarnessResult(BaseModel):
    """What the harness found."""

    version: str
    items: dict[str, HarnessItem]
    """By id."""
    means: dict[str, float]
    """The harness's own aggregate of each task type that it has a metric for."""
