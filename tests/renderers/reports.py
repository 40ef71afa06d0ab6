"""Reports made by hand, with figures that are easy to find again: a full one, and one of which hardly anything is known."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.attempts import Interruptions, add_up
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import (
    Condition,
    Costs,
    Curation,
    EarlierRun,
    InterruptionsReport,
    Lineage,
    Report,
    Slice,
)
from tests.renderers.report_parts import (
    CASES,
    CURATION,
    NAMES,
    PREFERENCE,
    about,
    case_row,
    plain_case,
    serving_figures,
    task_report,
)

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
SUMMARIES = {
    "student": {"train_loss": 0.41, "eval_loss": 0.312, "train_seconds": 305.2, "peak_memory_bytes": 3 << 30, "method": "sft"}
}
UNDISTURBED = Interruptions(attempts=1, killed=0, preempted=0, failed=0, seconds=50, lost_seconds=0, lost={}, goodput=1)
DISTURBED = Interruptions(
    attempts=4, killed=2, preempted=1, failed=0, seconds=400, lost_seconds=41, lost={"rows": 1400, "steps": 1}, goodput=0.8975
)

HOSTILE = (
    """</title></script><script>alert(1)</script><img src=x onerror="alert('2')">{{ 7*7 }}{% raw %}&amp;`|*_[x](javascript:1)"""
)
"""Markup, code and templates in several languages."""


def sample_report(name: str = "quickstart", reason: str = "95.6 % of the teacher's score is retained") -> Report:
    """Return the report of a distillation that went well, with everything that a report can have."""
    return Report(
        name=name,
        verdict="promote",
        reason=reason,
        conditions=[
            Condition(
                name="quality: CLASSIFICATION",
                wanted="at least 92 % of the teacher's score",
                found="95.6 % (95 % interval 93.1 % to 98.2 %)",
                outcome="pass",
                reason="the whole interval is above",
            ),
            Condition(name="speed-up", wanted="at least 2.0x", found="2.8x", outcome="pass", reason="2.8x is above 2.0x"),
        ],
        items=1_600,
        retained=Interval(value=0.956, low=0.931, high=0.982),
        gap_closed=Interval(value=0.9, low=0.85, high=0.96),
        improvement=Interval(value=0.361, low=0.329, high=0.392),
        tasks=[
            task_report("CLASSIFICATION", "accuracy", {"accuracy": 1.0, "macro_f1": 0.98}, kappa=0.83),
            task_report("CONVERSATION", "chrf", {"chrf": 0.6, "bleu": 0.3}, preference=PREFERENCE),
        ],
        slices=[
            Slice(
                field=field,
                value=value,
                items=items,
                scores={"teacher": about(0.91), "baseline": about(0.5), "student": about(0.91 * retained)},
                retained=about(retained, 0.4 / items**0.5),
            )
            for field, value, items, retained in (
                ("label", "card_arrival", 120, 0.97),
                ("label", "refund_not_showing_up", 61, 0.842),
                ("label", "exchange_rate", 94, 1.01),
                ("length", "up to 16 tokens", 410, 0.981),
                ("length", "over 64 tokens", 88, 0.903),
                ("language", "de", 140, 0.93),
            )
        ],
        serving={
            "teacher": serving_figures(milliseconds=61.2, items_per_second=38.5, memory=1_210, weights=513),
            "baseline": serving_figures(milliseconds=21.7, items_per_second=120.1, memory=421, weights=171),
            "control": serving_figures(milliseconds=21.8, items_per_second=119.0, memory=422, weights=171),
            "student": serving_figures(milliseconds=21.9, items_per_second=118.4, memory=423, weights=171),
        },
        names=NAMES,
        case_study=[
            case_row("latency", "seconds", (0.0612, 0.0217, 0.0218, 0.0219), about(0.642, 0.011), 0.85),
            case_row("memory", "bytes", (693 << 20, 351 << 20, 351 << 20, 351 << 20), Interval(value=0.494), 0.95),
            case_row("accuracy kept", "share", (0.912, 0.511, 0.893, 0.872), Interval(value=0.956, low=0.931, high=0.982), 0.92),
            case_row("cost", "money", (0.42, 0.13, 0.13, 0.137), Interval(value=0.675), 0.60),
            case_row("concurrent users", "requests_per_second", (38.5, 120.1, 119.0, 118.4), Interval(value=3.075), 10),
        ],
        costs=Costs(
            teacher_per_1k_requests=0.42,
            student_per_1k_requests=0.137,
            distillation=18.4,
            break_even_requests=65_018,
            machine_seconds={"generations": 412.0, "dataset": 3.1, "student": 9_000.0, "evaluation": 131.0},
        ),
        curation=CURATION,
        side_by_side=[*CASES, *(plain_case(number) for number in range(20))],
        caveats=[
            "The teacher ran in bfloat16 and the student in float32: latency and memory do not compare one to one",
            "3 of 1,600 test prompts share more than half of their words with a training prompt",
        ],
        earlier=[
            _earlier("2026-11-02T03:10:00Z", 0.871, "hold", 1_000),
            _earlier("2026-11-09T03:12:00Z", 0.913, "inconclusive", 1_600),
            _earlier("2026-11-16T03:11:00Z", 0.948, "promote", 1_600),
        ],
        lineage=Lineage(
            artifacts={stage: artifact(stage) for stage in STAGES},
            models={"teacher": "acme/large@0f1e2d3c4b5a", "baseline": "acme/small@a1b2c3d4e5f6", "student": NAMES["student"]},
            licences={"acme/large": "apache-2.0", "acme/small": "mit"},
            release_conditions=["Keep the notice of acme/large with the student."],
            settings={
                "generations": {"sampling": {"temperature": 0.0, "max_tokens": 32}, "samples": 1},
                "student": {"method": "sft", "learning_rate": 2e-5, "epochs": 3},
            },
            libraries={"torch": "2.13.0", "vllm": "0.32.0"},
        ),
        stages={stage: {"counts": {}, "summary": SUMMARIES.get(stage, {}), "seconds": {"total": 12.34}} for stage in STAGES},
        interruptions=interruptions_of(generations=DISTURBED, student=UNDISTURBED),
    )


def minimal_report() -> Report:
    """Return a report on a teacher behind an endpoint: no machine of its own, no prices, no judge, no control, no run before."""
    full = sample_report()
    endpoint = full.serving["teacher"].model_copy(
        update={
            **dict.fromkeys(("memory", "peak_memory_bytes", "energy_joules_per_item", "dtype")),
            "loads": [],
        }
    )
    alone = full.serving["student"].model_copy(update={"loads": [], "energy_joules_per_item": None})
    task = full.tasks[0].model_copy(update={"agreement": None, "kappa": None, "p_values": {}, "fidelity": {}})
    return full.model_copy(
        update={
            "verdict": "inconclusive",
            "reason": "89.1 % of the teacher's score is retained, and the interval straddles the 92 % that were asked for",
            "conditions": [],
            "retained": Interval(value=0.891),
            "tasks": [task],
            "slices": [],
            "serving": {"teacher": endpoint, "student": alone},
            "names": {"teacher": NAMES["teacher"], "student": NAMES["student"]},
            "case_study": [
                case_row("latency", "seconds", (0.0195, None, None, 0.0219), Interval(value=-0.12, low=-0.14, high=-0.1), 0.85),
                case_row("memory", "bytes", (None, None, None, 351 << 20), None, 0.95),
            ],
            "costs": Costs(
                teacher_per_1k_requests=None,
                student_per_1k_requests=None,
                distillation=None,
                break_even_requests=None,
                machine_seconds={},
            ),
            "curation": Curation(
                answers=0, kept=0, funnel=[], examples=[], labels_before={}, labels_after={}, repeated_test_prompts=0
            ),
            "side_by_side": [],
            "caveats": [],
            "earlier": [],
            "lineage": full.lineage.model_copy(update={"licences": {}, "settings": {}}),
            "interruptions": interruptions_of(),
        }
    )


def hostile_report(text: str) -> Report:
    """Return the full report with a text in every place that takes any; names of metrics and labels among them."""
    chosen = frozenset({"verdict", "outcome", "mode", "figure", "unit", "metric", "created_at", "artifacts"})
    content = _hostile(sample_report().model_dump(), text, chosen)
    for task in content["tasks"]:
        task["metrics"][text] = next(iter(task["metrics"].values()))
        task["p_values"][text] = 0.5
    content["curation"]["labels_before"][text] = 3
    content["costs"]["machine_seconds"][text] = 1.0
    for part in ("licences", "settings", "libraries"):
        content["lineage"][part][text] = text
    content["lineage"]["artifacts"][text] = content["lineage"]["artifacts"]["prompts"]
    content["side_by_side"][0]["tags"][text] = text
    return Report.model_validate(content)


def interruptions_of(**stages: Interruptions | None) -> InterruptionsReport:
    """Return what a report says of stages' interruptions."""
    recorded = [figures for figures in stages.values() if figures is not None]
    return InterruptionsReport(in_all=add_up(recorded) if recorded else None, stages=stages)


def artifact(kind: str) -> Artifact:
    """Return the handle of an artefact that nobody made."""
    return Artifact(kind=kind, store="file:///store", fingerprint=sha256(kind.encode()).hexdigest(), counts={"rows_kept": 1_234})


def write_losses(folder: Path) -> Path:
    """Write training metrics as a trainer writes them, and return the file."""
    rows = [{"step": 0, "max_steps": 50, "seconds": 0.1}]
    rows += [{"step": step, "max_steps": 50, "loss": 2 / step**0.5, "seconds": 0.1 * step} for step in range(1, 51)]
    rows += [
        {"step": step, "max_steps": 50, "eval_loss": 2.2 / step**0.5, "seconds": 0.1 * step} for step in (10, 20, 30, 40, 50)
    ]
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def _earlier(created_at: str, retained: float, verdict: str, items: int) -> EarlierRun:
    return EarlierRun.model_validate(
        {
            "fingerprint": sha256(created_at.encode()).hexdigest(),
            "created_at": created_at,
            "verdict": verdict,
            "retained": about(retained, 0.026),
            "items": items,
            "student": {"CLASSIFICATION": round(0.912 * retained, 4)},
        }
    )


def _hostile(value: Any, text: str, keeps: frozenset[str] = frozenset()) -> Any:
    """Return a report's content with this text in the place of every text that comes from data."""
    if isinstance(value, dict):
        return {key: each if key in keeps else _hostile(each, text, keeps) for key, each in value.items()}
    if isinstance(value, list):
        return [_hostile(each, text, keeps) for each in value]
    return text if isinstance(value, str) else value
