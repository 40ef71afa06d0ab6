"""One row of a source as it was found, good or bad."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceRow:
    """A row and where it stands; ``problem`` says in snake_case why it cannot be used, and then ``values`` is empty."""

    source: str
    line: int
    values: dict[str, Any]
    problem: str | None = None
