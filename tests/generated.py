"""Generations artefacts without a teacher: rows that say what a test needs, and usual values for the rest."""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.fingerprint import fingerprint
from tasks.core.records import ANSWERED_PROMPTS, with_logprobs
from tasks.core.tables import write_table
from tasks.generating.settings import GenerationsSettings


def row(name: str, said: str, **changes: Any) -> dict[str, Any]:
    """Return a row of a generations artefact: the answer to the prompt of that name."""
    tokens = changes.get("completion_tokens", 1)
    usual: dict[str, Any] = {
        "id": name,
        "messages": [],
        "text": f"about {name}",
        "references": [],
        "task": "CONVERSATION",
        "split": "train",
        "tags": [],
        "key": fingerprint([name, said, *map(str, changes.values())]),
        "teacher": "a teacher",
        "answer": said,
        "reasoning": None,
        "token_ids": [7] * tokens,
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": tokens,
        "seed": 0,
        "sample_index": 0,
        "turn": 0,
    }
    return usual | changes


def sure(name: str, said: str, logprobs: list[float], **changes: Any) -> dict[str, Any]:
    """Return a row with the log-probability of each of its tokens."""
    return row(name, said, completion_tokens=len(logprobs), token_logprobs=np.array(logprobs, np.float16), **changes)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as a generations file; all of them have log-probabilities, or none."""
    width = 0 if rows and "token_logprobs" in rows[0] else None
    write_table(path, with_logprobs(ANSWERED_PROMPTS, width), rows)
    return path


def generations(prompts: Artifact, teacher: str, rows: list[dict[str, Any]]) -> Artifact:
    """Return a teacher's generations artefact with these rows, which name it."""
    with Stage("generations", version=1).draft(
        prompts.store, GenerationsSettings(), prompts=prompts, **{teacher: prompts}
    ) as draft:
        write_rows(draft.path / ANSWERED_PROMPTS.file, [{**given, "teacher": teacher} for given in rows])
        return draft.publish()
