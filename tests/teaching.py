"""Prompts, a tiny teacher and what it answers: what the tests of generation share."""

import json
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.storage import open_store
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import PromptsSettings, prepare_prompts

SETTINGS: dict[str, Any] = {
    "sampling": {"max_new_tokens": 8, "max_prompt_tokens": 60, "dtype": "float32"},
    "runtime": {"shard_rows": 4, "engine": {"max_num_seqs": 4}},
}


def settings(**changes: Any) -> GenerationsSettings:
    """Return quick settings with some changed: one level deep, ``sampling={"temperature": 1.0}`` keeps the other fields."""
    merged = {**SETTINGS}
    for name, value in changes.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return GenerationsSettings.model_validate(merged)


def numbered(count: int) -> list[dict[str, Any]]:
    """Return rows with short prompts of their own."""
    return [{"prompt": f"number {number}", "answer": "x"} for number in range(count)]


def prepare(store: Path, rows: list[dict[str, Any]], **more: Any) -> Artifact:
    """Return a prompts artefact with these training rows and one test row."""
    store.mkdir(parents=True, exist_ok=True)
    (store.parent / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (store.parent / "test.jsonl").write_text('{"prompt": "test", "answer": "x"}\n')
    defaults: dict[str, Any] = {"validation_fraction": 0, "chat": False, "reference_field": "answer"}
    return prepare_prompts.fn(
        settings=PromptsSettings.model_validate(
            {"train": (str(store.parent / "train.jsonl"),), "test": (str(store.parent / "test.jsonl"),), **defaults, **more}
        ),
        store=str(store),
    )


def teach(store: Path, model: Path) -> Artifact:
    """Return a folder of weights as a teacher."""
    return prepare_model.fn(settings=ModelSettings(source=str(model)), store=str(store))


def answer(store: Path, prompts: Artifact, teacher: Artifact, **changes: Any) -> Artifact:
    """Let a teacher answer and return the generations artefact."""
    return generate.fn(settings=settings(**changes), store=str(store), prompts=prompts, teacher=teacher)


def committed_keys(store: Path | str) -> list[str]:
    """Return the key of every row in a store's ledger, as often as it is there."""
    opened = open_store(str(store))
    entries = [json.loads(opened.read(key)) for key in opened.keys("ledger") if "/log/" in key]
    return [key for entry in entries for key in entry["keys"]]
