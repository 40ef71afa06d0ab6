"""What a training made and took: the figures of its record, the table that Prefect shows, and a word on rows it did not use."""

from typing import Any

from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from tasks.core.progress import stage_logger


def summarise_training(metrics: list[dict[str, Any]], findings: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a training.

    Args:
        metrics: What it logged, oldest first.
        findings: What it found out: rows and tokens, what was cut or set aside, device, formats, kernels.
    """
    last = metrics[-1]
    speeds = [row["tokens_per_second"] for row in metrics if "tokens_per_second" in row]
    evaluations = [row["eval_loss"] for row in metrics if "eval_loss" in row]
    return {
        "train_loss": last.get("train_loss"),
        "eval_loss": evaluations[-1] if evaluations else None,
        "best_eval_loss": min(evaluations, default=None),
        "train_seconds": last.get("train_runtime"),
        "tokens_per_second": round(sum(speeds) / len(speeds), 1) if speeds else None,
        "peak_memory_bytes": max((row["memory_bytes"] for row in metrics if "memory_bytes" in row), default=None),
        **findings,
    }


def publish_training(key: str, summary: dict[str, Any]) -> None:
    """Say which rows were not used as they are, and create the Prefect table of the figures.

    Args:
        key: The table's key.
        summary: ``summarise_training``'s figures.
    """
    unused = {reason: count for reason, count in summary["set_aside"].items() if count}
    if unused or summary.get("truncated_rows"):
        stage_logger().warning(
            "training: %d rows were cut by %d tokens in all, set aside were %s; see the record",
            summary.get("truncated_rows", 0),
            summary.get("truncated_tokens", 0),
            unused,
        )
    if TaskRunContext.get() is not None:
        rows = [{"figure": name, "value": str(value)} for name, value in summary.items() if value is not None]
        create_table_artifact(rows, key=key, description="What the student's training took")
