"""A report made by hand, with figures that are easy to find again."""

import json
from hashlib import sha256
from pathlib import Path

from tasks.core.artifact import Artifact
from tasks.core.attempts import Interruptions, add_up
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import InterruptionsReport, ModelReport, Report, Savings
from tasks.teachers.serving import Serving

STAGES = (
    "prompts",
    "preflight",
    "generations",
    "dataset",
    "student",
    "teacher_evaluation",
    "baseline_evaluation",
    "student_evaluation",
)

UNDISTURBED = Interruptions(attempts=1, killed=0, preempted=0, failed=0, seconds=50, lost_seconds=0, lost={}, goodput=1)
DISTURBED = Interruptions(
    attempts=4, killed=2, preempted=1, failed=0, seconds=400, lost_seconds=41, lost={"rows": 1400, "steps": 1}, goodput=0.8975
)


def sample_report(name: str = "quickstart", reason: str = "95.6% of the teacher's score is retained") -> Report:
    """Return the report of a distillation that went well."""
    return Report(
        name=name,
        verdict="ship",
        reason=reason,
        min_retained=0.92,
        metric="accuracy",
        items=1_000,
        retained=Interval(value=0.956, low=0.931, high=0.982),
        gap_closed=Interval(value=0.9, low=0.85, high=0.96),
        improvement=Interval(value=0.361, low=0.329, high=0.392),
        agreement=Interval(value=0.871, low=0.849, high=0.890),
        models={
            "teacher": _model("acme/large", accuracy=0.912, milliseconds=61.2, items_per_second=38.5, memory=1_210, weights=513),
            "baseline": _model("acme/small", accuracy=0.511, milliseconds=21.7, items_per_second=120.1, memory=421, weights=171),
            "student": _model(
                "student:0123456789abcdef", accuracy=0.872, milliseconds=21.9, items_per_second=118.4, memory=423, weights=171
            ),
        },
        savings=Savings(latency=0.642, memory=0.650, size=0.667, cost=0.675, users=3.075),
        lineage={
            stage: Artifact(
                kind=stage, store="file:///store", fingerprint=sha256(stage.encode()).hexdigest(), counts={"rows_kept": 1_234}
            )
            for stage in STAGES
        },
        stages={stage: {"counts": {}, "summary": {}, "seconds": {"total": 12.34}} for stage in STAGES},
        interruptions=interruptions_of(generations=UNDISTURBED, student=UNDISTURBED),
    )


def interruptions_of(**stages: Interruptions | None) -> InterruptionsReport:
    """Return what a report says of stages' interruptions."""
    recorded = [figures for figures in stages.values() if figures is not None]
    return InterruptionsReport(in_all=add_up(recorded) if recorded else None, stages=stages)


def write_losses(folder: Path) -> Path:
    """Write training metrics as a trainer writes them, and return the file."""
    rows = [{"step": 0, "max_steps": 50, "seconds": 0.1}]
    rows += [{"step": step, "max_steps": 50, "loss": 2 / step, "seconds": 0.1 * step} for step in range(5, 51, 5)]
    rows += [{"step": step, "max_steps": 50, "eval_loss": 2.2 / step, "seconds": 0.1 * step} for step in (25, 50)]
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def _model(name: str, *, accuracy: float, milliseconds: float, items_per_second: float, memory: int, weights: int) -> ModelReport:
    seconds = milliseconds / 1e3
    return ModelReport(
        name=name,
        metrics={
            "accuracy": Interval(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.02),
            "macro_f1": Interval(value=accuracy - 0.01, low=accuracy - 0.03, high=accuracy + 0.01),
        },
        invalid_ratio=0.001,
        serving=Serving(
            latency_seconds=Interval(value=seconds, low=seconds * 0.98, high=seconds * 1.02),
            loads=[],
            items_per_second=items_per_second,
            tokens_per_second=3 * items_per_second,
            peak_memory_bytes=memory << 20,
            weight_bytes=weights << 20,
            kv_bytes_per_token=23_040,
            energy_joules_per_item=None,
            cost_per_1k_requests=None,
            dtype="bfloat16",
        ),
    )
