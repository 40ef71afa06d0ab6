"""Only answers of the kind that their task asks for: a label of the closed set, a number, JSON of a schema, a shorter summary."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import PASSED, FilterSettings, Finding, RowFilter
from tasks.task_types import TASK_TYPES


class ValiditySettings(FilterSettings):
    """Answers that are none of their kind: outside the labels, without a final value, not of the schema, longer than what they
    sum up."""

    json_schema: dict[str, Any] | None = None
    """A JSON schema that every answer must follow, but for labels; empty: answers need not be JSON."""

    extractive: bool = False
    """Answers to NLU_QA must stand in the prompt, letter by letter but for case and white space."""

    max_summary_ratio: float | None = Field(default=1.0, gt=0)
    """Largest length of a summary, as a share of its prompt's last message; empty: no limit."""

    @model_validator(mode="after")
    def _schema_is_one(self) -> Self:
        if self.json_schema is not None:
            _json_check(self.json_schema)
        return self


def reject_invalid(settings: ValiditySettings, context: FilterContext) -> RowFilter:
    """Make the filter; its reasons are ``unknown_label``, ``invalid_answer``, ``invalid_json``, ``not_in_prompt`` and
    ``not_shorter``."""
    follows_schema = None if settings.json_schema is None else _json_check(settings.json_schema)

    def look(candidates: Sequence[Candidate]) -> list[Finding]:
        return [PASSED if (reason := judge(candidate)) is None else Finding(reason) for candidate in candidates]

    def judge(candidate: Candidate) -> str | None:
        task_type = TASK_TYPES[candidate.task]
        answer = context.read(candidate.task, candidate.completion)
        if answer is None:
            return "unknown_label" if task_type.is_closed else "invalid_answer"
        if follows_schema is not None and not task_type.is_closed and not follows_schema(candidate.completion):
            return "invalid_json"
        if (
            settings.extractive
            and candidate.task == "NLU_QA"
            and _plain(answer) not in _plain(" ".join(candidate.prompt_texts()))
        ):
            return "not_in_prompt"
        longest = settings.max_summary_ratio
        if longest is not None and candidate.task == "SUMMARIZATION" and len(answer) >= longest * len(candidate.asked):
            return "not_shorter"
        return None

    return look


def _json_check(schema: dict[str, Any]) -> Callable[[str], bool]:
    """Return what tells whether a text is JSON of a schema; references to other documents are not followed.

    Raises:
        ValueError: If the schema is none.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"validity.json_schema is no JSON schema: {error.message}") from error
    validator = kind(schema, registry=Registry())

    def follows(text: str) -> bool:
        try:
            return validator.is_valid(json.loads(text))
        except json.JSONDecodeError:
            return False
        except Unresolvable as error:
            raise ValueError(f"validity.json_schema refers to {error.ref}, which it does not hold; write it out") from error

    return follows


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
