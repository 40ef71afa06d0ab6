"""The prompts stage: the user's rows, validated, de-duplicated and split, or set aside with the reason."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import DataError, SettingsError
from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.progress import stage_logger
from tasks.core.records import PROMPTS, SPLITS, Prompt, Split
from tasks.core.tables import write_table
from tasks.sources import read_source
from tasks.sources.conversion import NOT_SELECTED, row_prompt
from tasks.sources.settings import PromptsSettings
from tasks.task_types import TASK_TYPES

STAGE = Stage("prompts", version=5)
BAD_ROWS_FILE = "bad_rows.jsonl"


@STAGE.task
def prepare_prompts(settings: PromptsSettings, store: str) -> Artifact:
    """Read, check and split the prompts.

    Args:
        settings: The sources and how a row becomes a prompt.
        store: URL of the artefact store.

    Returns:
        Handle of a ``prompts`` artefact: prompts.parquet, and bad_rows.jsonl with source, line and reason of each bad row. Its
        counts tell how many prompts each split has, and how many of the training prompts have a reference.

    Raises:
        DataError: If more rows are bad than the settings allow, or a split that is needed is empty.
        SettingsError: If a source is not there, or no row has a tag field or the reference field.
    """
    with STAGE.draft(store, settings) as draft:
        bad: list[dict[str, Any]] = []
        prompts = _limit_references(_split(list(_read(settings, bad)), settings), settings.max_references)
        reasons = Counter(row["reason"] for row in bad)
        duplicates = reasons.pop("duplicate_prompt", 0)
        _check_ratio(reasons, len(prompts) + len(bad), settings.max_bad_rows_ratio, bad)
        _check_tags(prompts, settings)
        _check_reference_field(prompts, settings)
        splits = Counter(prompt["split"] for prompt in prompts)
        for split in ("train", "test"):
            if not splits[split]:
                kind = " among the rows that prompts.keep_where takes" if settings.keep_where else ""
                gone = f", and {duplicates} rows repeat a prompt of a test, validation or earlier row" if duplicates else ""
                raise DataError(f"there are no {split} prompts{kind}{gone}; give more rows, or prompts.{split}")
        write_table(draft.path / PROMPTS.file, PROMPTS, prompts)
        _write_bad_rows(draft.path / BAD_ROWS_FILE, bad)
        draft.counts = {
            **{split: splits[split] for split in SPLITS},
            "references": sum(bool(prompt["references"]) for prompt in prompts if prompt["split"] == "train"),
            "bad_rows": sum(reasons.values()),
            "duplicates": duplicates,
        }
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
                prompt = row_prompt(row, split, settings)
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
                if prompt != NOT_SELECTED:
                    bad.append({"source": row.source, "line": row.line, "reason": prompt})


def _split(prompts: list[Prompt], settings: PromptsSettings) -> list[Prompt]:
    """Hold rows out for the splits that have no source, by a hash of the id, so that new rows move no old one."""
    held_out: list[tuple[Split, float]] = []
    if not settings.test:
        held_out.append(("test", settings.test_fraction))
    if not settings.validation:
        held_out.append(("validation", settings.validation_fraction))
    referred = {prompt["task"] for prompt in prompts if prompt["references"]}
    judged = {name for name, task in TASK_TYPES.items() if not task.needs_references and name not in referred}
    for prompt in prompts:
        position = _position(prompt["id"])
        for split, fraction in held_out:
            testable = prompt["references"] or prompt["task"] in judged
            if prompt["split"] == "train" and testable and position < fraction:
                prompt["split"] = split
            position -= fraction
    return prompts


def _limit_references(prompts: list[Prompt], limit: int | None) -> list[Prompt]:
    if limit is None:
        return prompts
    labelled = [prompt for prompt in prompts if prompt["split"] == "train" and prompt["references"]]
    for prompt in sorted(labelled, key=lambda prompt: _position(prompt["id"]))[limit:]:
        prompt["references"] = []
    return prompts


def _position(identifier: str) -> float:
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:SHORT], 16) / 16**SHORT


def _labels(prompts: list[Prompt], settings: PromptsSettings) -> list[str]:
    if settings.labels:
        return list(settings.labels)
    closed = (prompt for prompt in prompts if TASK_TYPES[prompt["task"]].is_closed)
    return sorted({reference for prompt in closed for reference in prompt["references"]})


def _check_tags(prompts: list[Prompt], settings: PromptsSettings) -> None:
    unseen = set(settings.tag_fields) - {name for prompt in prompts for name, _ in prompt["tags"]}
    if prompts and unseen:
        raise SettingsError(
            f"no row has the fields {sorted(unseen)} of prompts.tag_fields; correct their names or leave them out"
        )


def _check_reference_field(prompts: list[Prompt], settings: PromptsSettings) -> None:
    if prompts and settings.reference_field and settings.max_references is None and not any(row["references"] for row in prompts):
        raise SettingsError(
            f"no row has a reference in the field {settings.reference_field!r} of prompts.reference_field; correct its name or "
            "leave it out"
        )


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
