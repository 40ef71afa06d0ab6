"""Evaluations of a scripted endpoint, for tests."""

import json
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact, read_record
from tasks.core.records import PREDICTIONS, Prediction
from tasks.core.tables import read_table
from tasks.evaluation import EvaluationSettings, evaluate
from tasks.model import prepare_endpoint
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.serving import Serving
from tests.endpoints import Act, ScriptedEndpoint, answer

QUICK: dict[str, Any] = {"backoff_seconds": 0.01, "max_backoff_seconds": 0.1, "max_attempts": 2, "timeout_seconds": 5}
ALONE: dict[str, Any] = {"latency_requests": 5, "load_concurrencies": ()}
LABELS = ["Cold", "Hot"]


def labelled(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"still {number}", "answer": LABELS[number % 2], "kind": "CLASSIFICATION"} for number in range(count)]


def asked(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"sum {number}", "answer": f"The {number}.", "kind": "MATH"} for number in range(count)]


def prepare(store: Path, rows: list[dict[str, Any]]) -> Artifact:
    """Return prompts with these test rows; the training rows have both labels."""
    store.mkdir(parents=True, exist_ok=True)
    splits = {"train": [{**row, "prompt": f"train {row['prompt']}"} for row in labelled(2)], "test": rows}
    for split, chosen in splits.items():
        (store.parent / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in chosen))
    sources = {split: (str(store.parent / f"{split}.jsonl"),) for split in splits}
    settings = {**sources, "reference_field": "answer", "task_field": "kind", "validation_fraction": 0}
    return prepare_prompts.fn(settings=PromptsSettings.model_validate(settings), store=str(store))


def run_test(
    store: Path,
    rows: list[dict[str, Any]],
    scripted: ScriptedEndpoint,
    loads: dict[str, Any] | None = None,
    custom_metric: str | None = None,
    **runtime: Any,
) -> Artifact:
    """Evaluate the scripted endpoint on these rows."""
    endpoint = EndpointSettings(url=scripted.url, model="acme/large")
    teacher = prepare_endpoint.fn(settings=endpoint, store=str(store))
    chosen = {**ALONE, **(loads or {}), "custom_metric": custom_metric, "endpoint": {**QUICK, **runtime}}
    settings = EvaluationSettings.model_validate(chosen)
    return evaluate.fn(settings=settings, store=str(store), prompts=prepare(store, rows), model=teacher)


def serving_of(made: Artifact) -> Serving:
    """Return the figures of an evaluation's speed, memory and cost."""
    return Serving.model_validate(read_record(made).summary["serving"])


def predictions(made: Artifact) -> dict[str, Prediction]:
    """Return what was answered, by the first reference."""
    return {row["references"][0]: row for row in read_table(made, PREDICTIONS)}


def knows(right: dict[str, str]) -> Any:
    """Return a script that answers these prompts so, and all others with ``nothing``."""
    return lambda call: Act(body=answer(right.get(call.prompt, "nothing"), call.path))
