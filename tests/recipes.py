"""A recipe of the whole path that takes seconds a stage: a tiny teacher, half of it as student, 64 rows."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.models import tiny_model

_TRAINING: dict[str, Any] = {
    "epochs": 10,
    "learning_rate": 0.01,
    "batch_size": 8,
    "precision": "float32",
    "runtime": {"checkpoint_steps": 5},
}
QUICK_LOADS: dict[str, Any] = {"latency_requests": 5, "load_concurrencies": [2], "load_requests": 8}
"""Settings of an evaluation that is about other things than speed."""
_SAMPLING = {"max_new_tokens": 4, "max_prompt_tokens": 60, "dtype": "float32"}


def tiny_recipe(folder: Path, store: str | None = None) -> Path:
    """Write a recipe, its data and its model; the store is the folder's ``artifacts`` unless another is given."""
    rows = [
        {"text": f"the still is {'hot' if number % 2 else 'cold'} today {number}", "label": "warm" if number % 2 else "cool"}
        for number in range(64)
    ]
    splits = {"train": rows[:48], "validation": rows[48:52], "test": rows[52:]}
    for split, chosen in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in chosen), encoding="utf-8")
    recipe = {
        "store": store or str(folder / "artifacts"),
        "prompts": {
            **{split: [str(folder / f"{split}.jsonl")] for split in splits},
            "task": "CLASSIFICATION",
            "chat": False,
            "template": "{text}:",
            "reference_field": "label",
        },
        "teacher": {"model": {"source": str(tiny_model(folder / "model"))}, "adaptation": _TRAINING},
        "generations": {"sampling": _SAMPLING, "runtime": {"shard_rows": 8, "engine": {"max_num_seqs": 4}}},
        "dataset": {"min_keep_ratio": 0.1, "min_examples": 1, "allow_vanished_labels": True},
        "student": {"pruning": {"keep_layers": 1}, "training": _TRAINING},
        "evaluation": {"sampling": _SAMPLING, **QUICK_LOADS, "engine": {"max_num_seqs": 4}},
        "report": {"name": "tiny"},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path
