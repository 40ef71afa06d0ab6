"""The prompts stage: the user's rows, validated, de-duplicated and split, or set aside with the reason."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.progress import stage_logger
from tasks.core.records import PROMPTS, SPLITS, Message, Prompt, Split
from tasks.core.section import Section
from tasks.core.tables import write_table
from tasks.sources import SourceRow, read_source, source_identity

STAGE = Stage("prompts", version=1)
BAD_ROWS_FILE = "bad_rows.jsonl"
CLOSED_SET_TASKS = ("NLI", "CLASSIFICATION")

TaskType = Literal["NLI", "CONVERSATION", "NLU_QA", "MATH", "SUMMARIZATION", "CLASSIFICATION"]


class PromptsSettings(Section):
    """Where the prompts come from and how a row becomes one."""

    train: tuple[str, ...] = Field(min_length=1)
    """Sources of training prompts: .jsonl, .csv or .parquet files, local or s3://, or hub:organisation/name@revision:split."""

    validation: tuple[str, ...] = ()
    """Sources of validation prompts; without one, a stable share of the training rows is held out."""

    test: tuple[str, ...] = ()
    """Sources of test prompts; without one, a stable share of the training rows is held out."""

    validation_fraction: float = Field(default=0.05, ge=0, lt=0.5)
    """Share of the training rows held out for validation when there is no validation source."""

    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the training rows held out for the test when there is no test source."""

    task: TaskType = "CONVERSATION"
    """What kind of task the rows are."""

    template: str = "{prompt}"
    """The prompt's text with fields of the row in braces. Rows that have `messages` are taken as they are."""

    system: str | None = None
    """System message put before every templated prompt; chat only."""

    chat: bool = True
    """Send the prompt as a user's turn through each model's chat template; off: plain text to be continued."""

    id_field: str | None = None
    """Field that identifies a row; without one, the id is derived from the prompt."""

    reference_field: str | None = None
    """Field with the correct answer. Test rows need one; training rows may leave it out."""

    labels: tuple[str, ...] = ()
    """All valid answers of a closed-set task; empty: the references seen in the training and validation rows."""

    keep_where: dict[str, tuple[str, ...]] = Field(default={})
    """Only rows whose field has one of the listed values are taken."""

    max_references: int | None = Field(default=None, ge=0)
    """References kept among the training rows, a stable choice; the other rows count as unlabelled."""

    max_prompt_characters: int = Field(default=32_768, ge=1)
    """Longer prompts are set aside."""

    max_bad_rows_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of rows that may be set aside as bad before the run ends."""

    def identity(self) -> dict[str, Any]:
        """Return the settings with every source replaced by the identity of its content."""
        contents = {split: [source_identity(source) for source in getattr(self, split)] for split in SPLITS}
        return {**super().identity(), **contents}


@STAGE.task
def prepare_prompts(settings: PromptsSettings, store: str) -> Artifact:
    """Read, check and split the prompts.

    Args:
        settings: The sources and how a row becomes a prompt.
        store: URL of the artefact store.

    Returns:
        Handle of a ``prompts`` artefact: prompts.parquet, and bad_rows.jsonl with source, line and reason of each bad row.

    Raises:
        DataError: If more rows are bad than the settings allow, or a split that is needed is empty.
    """
    with STAGE.draft(store, settings) as draft:
        bad: list[dict[str, Any]] = []
        prompts = _limit_references(_split(list(_read(settings, bad)), settings), settings.max_references)
        reasons = Counter(row["reason"] for row in bad)
        duplicates = reasons.pop("duplicate_prompt", 0)
        _check_ratio(reasons, len(prompts) + len(bad), settings.max_bad_rows_ratio, bad)
        splits = Counter(prompt["split"] for prompt in prompts)
        for split in ("train", "test"):
            if not splits[split]:
                raise DataError(f"there are no {split} prompts; give more rows, or prompts.{split}")
        write_table(draft.path / PROMPTS.file, PROMPTS, prompts)
        _write_bad_rows(draft.path / BAD_ROWS_FILE, bad)
        draft.counts = {**{split: splits[split] for split in SPLITS}, "bad_rows": sum(reasons.values()), "duplicates": duplicates}
        draft.summary = {"labels": _labels(prompts, settings), "bad_rows": dict(reasons)}
        stage_logger().info("prompts: %s", ", ".join(f"{name} {count}" for name, count in draft.counts.items()))
        return draft.publish()


def _read(settings: PromptsSettings, bad: list[dict[str, Any]]) -> Iterator[Prompt]:
    """Yield the good rows, test rows first: of a prompt in both the test and the training rows, the training one goes."""
    seen_ids: set[str] = set()
    seen_prompts: set[str] = set()
    for split in reversed(SPLITS):
        for source in getattr(settings, split):
            for row in read_source(source):
                prompt = None if row.problem else _prompt(row, split, settings)
                if isinstance(prompt, dict):
                    content = fingerprint([prompt["messages"], prompt["text"]])
                    prompt["id"] = prompt["id"] or content[:SHORT]
                    duplicate = "duplicate_prompt" if content in seen_prompts else "duplicate_id"
                    if content not in seen_prompts and prompt["id"] not in seen_ids:
                        seen_ids.add(prompt["id"])
                        seen_prompts.add(content)
                        yield prompt
                        continue
                    prompt = duplicate
                reason = row.problem or prompt
                if reason != "not_selected":
                    bad.append({"source": row.source, "line": row.line, "reason": reason})


def _prompt(row: SourceRow, split: Split, settings: PromptsSettings) -> Prompt | str:
    """Return the row as a prompt, or the reason why it is none."""
    values = row.values
    if any(str(values.get(field)) not in allowed for field, allowed in settings.keep_where.items()):
        return "not_selected"
    messages, text = _messages(values, settings)
    if isinstance(text, str) and not settings.chat:
        messages = []
    elif isinstance(text, str):
        turns = [("system", settings.system), ("user", text)]
        messages, text = [Message(role=role, content=content) for role, content in turns if content is not None], None
    elif messages is None:
        return "missing_field"
    content = "".join(message["content"] for message in messages) + (text or "")
    if not content.strip():
        return "empty_prompt"
    if len(content) > settings.max_prompt_characters:
        return "over_long_prompt"
    reference = values.get(settings.reference_field) if settings.reference_field else None
    if _is_nan(reference):
        return "not_a_number"
    reference = None if reference is None else str(reference).strip() or None  # a blank cell is no reference
    if reference is None and split == "test":
        return "missing_reference"
    identifier = values.get(settings.id_field) if settings.id_field else ""
    if identifier is None:
        return "missing_id"
    return Prompt(
        id=str(identifier),
        messages=messages,
        text=text,
        reference=reference,
        task=settings.task,
        split=split,
    )


def _messages(values: dict[str, Any], settings: PromptsSettings) -> tuple[list[Message] | None, str | None]:
    turns = values.get("messages")
    if isinstance(turns, list):
        complete = [turn for turn in turns if isinstance(turn, dict) and isinstance(turn.get("content"), str)]
        if len(complete) < len(turns) or not all(isinstance(turn.get("role"), str) for turn in complete):
            return None, None
        return [Message(role=turn["role"], content=turn["content"]) for turn in complete], None
    try:
        fields = {name: value for name, value in values.items() if value is not None and not _is_nan(value)}
        return None, settings.template.format_map(fields)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError):
        return None, None


def _split(prompts: list[Prompt], settings: PromptsSettings) -> list[Prompt]:
    """Hold rows out for the splits that have no source, by a hash of the id, so that new rows move no old one."""
    held_out: list[tuple[Split, float]] = []
    if not settings.test:
        held_out.append(("test", settings.test_fraction))
    if not settings.validation:
        held_out.append(("validation", settings.validation_fraction))
    for prompt in prompts:
        position = _position(prompt["id"])
        for split, fraction in held_out:
            if prompt["split"] == "train" and prompt["reference"] is not None and position < fraction:
                prompt["split"] = split
            position -= fraction
    return prompts


def _limit_references(prompts: list[Prompt], limit: int | None) -> list[Prompt]:
    if limit is None:
        return prompts
    labelled = [prompt for prompt in prompts if prompt["split"] == "train" and prompt["reference"] is not None]
    for prompt in sorted(labelled, key=lambda prompt: _position(prompt["id"]))[limit:]:
        prompt["reference"] = None
    return prompts


def _position(identifier: str) -> float:
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:SHORT], 16) / 16**SHORT


def _labels(prompts: list[Prompt], settings: PromptsSettings) -> list[str]:
    if settings.labels or settings.task not in CLOSED_SET_TASKS:
        return list(settings.labels)
    return sorted({prompt["reference"] for prompt in prompts if prompt["reference"] is not None and prompt["split"] != "test"})


def _check_ratio(reasons: Counter[str], total: int, limit: float, bad: list[dict[str, Any]]) -> None:
    if sum(reasons.values()) <= limit * total:
        return
    first = next(row for row in bad if row["reason"] in reasons)
    raise DataError(
        f"{sum(reasons.values())} of {total} rows are bad ({dict(reasons)}), "
        f"more than prompts.max_bad_rows_ratio = {limit} allows; the first is {first['source']}, "
        f"line {first['line']}: {first['reason']}. Mend the rows or raise the limit"
    )


def _write_bad_rows(path: Path, bad: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in bad), encoding="utf-8")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
