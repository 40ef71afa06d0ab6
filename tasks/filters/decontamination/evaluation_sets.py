"""Named evaluation sets that no training row may repeat, besides the recipe's own test prompts."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from tasks.core.errors import DataError
from tasks.core.section import Section
from tasks.filters.decontamination.index import HeldOut
from tasks.sources import SourceRow, read_source, source_identity


class EvaluationSetSettings(Section):
    """Where an evaluation set is and what its rows ask."""

    sources: tuple[str, ...] = Field(min_length=1)
    """.jsonl, .csv or .parquet files, local or s3://, or hub:organisation/name@revision:split."""

    template: str = "{prompt}"
    """The text of a row that must not be repeated, with fields of the row in braces, such as {question}. Of rows that have
    `messages` it is all of them, but for the assistant's turns at the end."""

    def identity(self) -> dict[str, Any]:
        """Return the settings with every source replaced by the identity of its content."""
        return {**super().identity(), "sources": [source_identity(source) for source in self.sources]}


def read_evaluation_sets(sets: Mapping[str, EvaluationSetSettings]) -> Iterator[HeldOut]:
    """Yield the rows of evaluation sets; the id of a row is where it stands.

    Raises:
        DataError: If a row cannot be read or lacks a field of the template: what is not looked for would count as clean.
    """
    for name, settings in sets.items():
        for source in settings.sources:
            for row in read_source(source):
                yield HeldOut(name, f"{row.source}:{row.line}", _text(name, row, settings.template))


def _text(name: str, row: SourceRow, template: str) -> str:
    turns = row.values.get("messages")
    problem = row.problem
    if problem is None and isinstance(turns, list):
        asked = [turn for turn in turns if isinstance(turn, dict) and isinstance(turn.get("content"), str)]
        while asked and asked[-1].get("role") == "assistant":
            asked.pop()
        return "\n".join(turn["content"] for turn in asked)
    if problem is None:
        try:
            return template.format_map(row.values)
        except (KeyError, IndexError, AttributeError, TypeError, ValueError):
            problem = f"it has the fields {sorted(row.values)} and the template is {template!r}"
    raise DataError(
        f"a row of the evaluation set {name!r} cannot be used ({row.source}, line {row.line}: {problem}); mend the row, or "
        f"dataset.filters.decontamination.evaluation_sets.{name}.template"
    )
