"""From a row of a source to a prompt, or to the reason in snake_case why the row is none."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import takewhile
from math import isfinite, isnan
from typing import Any

from tasks.core.records import Message, Prompt, Split
from tasks.metrics.answers import normalise_label
from tasks.sources.references import is_printed_list, read_references, written_number
from tasks.sources.row import SourceRow
from tasks.sources.settings import PromptsSettings
from tasks.task_types import TASK_TYPES

NOT_SELECTED = "not_selected"
"""The reason of rows that ``keep_where`` leaves out; they are not bad."""

_ROLES = {"system", "user", "assistant", "tool"}


def row_prompt(row: SourceRow, split: Split, settings: PromptsSettings) -> Prompt | str:
    """Return a row as a prompt, or the reason why it is none.

    Args:
        row: The row as it was found.
        split: The split that its source belongs to.
        settings: How a row becomes a prompt.

    Returns:
        The prompt, its id empty when it is yet to be derived; or the row's own problem, or one of not_selected, unknown_task,
        missing_field, unknown_role, no_user_turn, empty_prompt, over_long_prompt, not_a_number, bad_reference,
        list_as_text, missing_reference, reference_not_in_labels, missing_id.
    """
    if row.problem:
        return row.problem
    if any(_as_text(row.values.get(field)) not in allowed for field, allowed in settings.keep_where.items()):
        return NOT_SELECTED
    values = {name: value for name, value in row.values.items() if value is not None and not _is_nan(value)}
    task = str(values.get(settings.task_field)) if settings.task_field else settings.task
    if task not in TASK_TYPES:
        return "unknown_task"
    asked = _asked(values, settings)
    if isinstance(asked, str):
        return asked
    messages, text, answered = asked
    content = "".join(message["content"] for message in messages) + (text or "")
    if not content.strip():
        return "empty_prompt"
    if len(content) > settings.max_prompt_characters:
        return "over_long_prompt"
    given = row.values.get(settings.reference_field) if settings.reference_field else None
    if row.source.endswith(".csv") and is_printed_list(given):
        return "list_as_text"
    references = read_references(given)
    if isinstance(references, str):
        return references
    references = references or ([answered] if answered else [])
    if not references and split == "test" and TASK_TYPES[task].needs_references:
        return "missing_reference"
    if references and settings.labels and TASK_TYPES[task].is_closed and not _has_a_label(references, settings.labels):
        return "reference_not_in_labels"
    identifier = values.get(settings.id_field) if settings.id_field else ""
    if identifier is None:
        return "missing_id"
    tags = [(name, _as_text(values[name])) for name in settings.tag_fields if name in values]
    return Prompt(id=str(identifier), messages=messages, text=text, references=references, task=task, split=split, tags=tags)


def _has_a_label(references: Sequence[str], labels: Sequence[str]) -> bool:
    known = {normalise_label(label) for label in labels}
    return any(normalise_label(reference) in known for reference in references)


def _asked(values: dict[str, Any], settings: PromptsSettings) -> tuple[list[Message], str | None, str] | str:
    """Return the messages, the text and the answer that the conversation already has, or the reason why there are none."""
    turns = values.get("messages")
    if isinstance(turns, list):
        return _conversation(turns)
    try:
        text = settings.template.format_map(values)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError):
        return "missing_field"
    if not settings.chat:
        return [], text, ""
    said = [("system", settings.system), ("user", text)]
    return [Message(role=role, content=content) for role, content in said if content is not None], None, ""


def _conversation(turns: list[Any]) -> tuple[list[Message], None, str] | str:
    messages: list[Message] = []
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("content"), str) or not isinstance(turn.get("role"), str):
            return "missing_field"
        if turn["role"] not in _ROLES:
            return "unknown_role"
        messages.append(Message(role=turn["role"], content=turn["content"]))
    if all(message["role"] != "user" for message in messages):
        return "no_user_turn"
    answers = list(takewhile(lambda message: message["role"] == "assistant", reversed(messages)))
    answered = "\n".join(message["content"] for message in reversed(answers))
    return messages[: len(messages) - len(answers)], None, answered.strip()


def _as_text(value: Any) -> str:
    """Return a field as text: a column of whole numbers in which some are missing comes as 1.0, and is 1 all the same."""
    return written_number(value) if isinstance(value, float | Decimal) and isfinite(value) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
