"""What a generations run made and cost: the figures of its record and the tables that Prefect shows."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from tasks.core.redaction import redact

_QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
_SAMPLE_CHARACTERS = 200
_COUNTED = ["prompt_tokens", "completion_tokens", "finish_reason", "teacher"]


def summarise_rows(path: Path) -> dict[str, Any]:
    """Return the figures of all rows of a generations file: finish reasons, teachers, tokens, quantiles of their lengths."""
    columns = pq.read_table(path, columns=_COUNTED)
    lengths = columns["completion_tokens"].to_numpy()
    return {
        "finish_reasons": dict(Counter(columns["finish_reason"].to_pylist())),
        "teachers": dict(Counter(columns["teacher"].to_pylist())),
        "prompt_tokens": int(columns["prompt_tokens"].to_numpy().sum()),
        "completion_tokens": int(lengths.sum()),
        "completion_length": {
            name: int(np.quantile(lengths, share, method="higher")) if len(lengths) else 0 for name, share in _QUANTILES.items()
        },
    }


def total_effort(efforts: list[dict[str, Any]], gpus: int, price_per_gpu_hour: float | None) -> dict[str, Any]:
    """Return what all partitions took together.

    Args:
        efforts: ``Effort.summary`` of each.
        gpus: GPUs that each engine took; 0 on a CPU and for an endpoint.
        price_per_gpu_hour: What a GPU costs; None if that is not known.
    """
    names = ("rows", "prompt_tokens", "completion_tokens", "engine_starts", "engine_steps", "seconds")
    total = {name: sum(effort[name] for effort in efforts) for name in names}
    thousands = total["rows"] / 1000
    gpu_seconds = total["seconds"] * gpus
    charged = [effort["cost"] for effort in efforts if effort["cost"] is not None]
    cost = sum(charged) if charged else gpu_seconds / 3600 * price_per_gpu_hour if price_per_gpu_hour is not None else None
    return {
        **total,
        "seconds": round(total["seconds"], 3),
        "rows_per_second": round(total["rows"] / max(total["seconds"], 1e-9), 2),  # of one engine, on average
        "tokens_per_second": round(total["completion_tokens"] / max(total["seconds"], 1e-9), 1),
        "gpu_seconds_per_1k_rows": round(gpu_seconds / thousands, 2) if thousands else None,
        "cost": None if cost is None else round(cost, 6),
        "cost_per_1k_rows": round(cost / thousands, 6) if thousands and cost is not None else None,
    }


def publish_tables(key: str, path: Path, figures: dict[str, Any], samples: int, seed: int) -> None:
    """Create the Prefect table artifacts of a run: its figures, and some answers with personal data blacked out.

    Args:
        key: Start of the artifacts' keys.
        path: The generations file.
        figures: Name and value of every figure; nested ones are shown flat.
        samples: Answers to show.
        seed: Decides which; the same rows are shown again for the same artefact.
    """
    if TaskRunContext.get() is None:
        return
    rows = [{"figure": name, "value": str(value)} for name, value in _flat(figures) if value is not None]
    create_table_artifact(rows, key=f"{key}-figures", description="What the teacher's answers took")
    if samples:
        create_table_artifact(
            pick_samples(path, samples, seed), key=f"{key}-samples", description="Some answers, personal data blacked out"
        )


def pick_samples(path: Path, count: int, seed: int) -> list[dict[str, str]]:
    """Return some rows of a generations file, redacted: id, end of the prompt, answer, finish reason."""
    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        chosen = sorted(np.random.default_rng(seed).choice(total, min(count, total), replace=False).tolist())
        picked: list[dict[str, str]] = []
        start = 0
        for batch in file.iter_batches(batch_size=1024, columns=["id", "messages", "text", "answer", "finish_reason"]):
            picked += [_sample(batch.slice(row - start, 1).to_pylist()[0]) for row in chosen if start <= row < start + len(batch)]
            start += len(batch)
    return picked


def _sample(row: dict[str, Any]) -> dict[str, str]:
    asked = row["text"] if row["text"] is not None else row["messages"][-1]["content"]
    return {
        "id": redact(row["id"], 64),
        "prompt": redact(asked, _SAMPLE_CHARACTERS),
        "answer": redact(row["answer"], _SAMPLE_CHARACTERS),
        "finish_reason": row["finish_reason"],
    }


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        found += _flat(value, f"{prefix}{name} ") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found
