"""The report stage: student against baseline against teacher, with intervals, and whether to ship."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tasks.core.artifact import Artifact, Record, open_file, read_record
from tasks.core.attempts import INTERRUPTIONS, Interruptions, add_up
from tasks.core.caching import Stage
from tasks.core.progress import stage_logger
from tasks.core.records import PREDICTIONS, Prediction
from tasks.core.section import Section
from tasks.core.tables import read_table
from tasks.metrics import CORPUS_METRICS
from tasks.metrics.intervals import Interval, paired_bootstrap, resampled, wilson
from tasks.renderers.markdown import render_markdown
from tasks.renderers.schema import InterruptionsReport, ModelName, ModelReport, Report, Savings, Verdict
from tasks.task_types import TASK_TYPES
from tasks.task_types.scoring import primary_score

STAGE = Stage("report", version=6)
REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
REPORT_MARKDOWN = "report.md"
_INTERRUPTIBLE = {"generations": "teacher", "student": "dataset"}
"""Kinds whose makers record their attempts, and an input that tells these from others of the kind: mixtures have no teacher."""


class ReportSettings(Section):
    """What the verdict asks for."""

    name: str = Field(default="distillation", pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    """Name shown in the report."""

    min_retained: float = Field(default=0.92, gt=0, le=2)
    """Share of the teacher's score that the student must keep, with 95 % confidence, to be shipped."""


@STAGE.task
def make_report(
    settings: ReportSettings,
    store: str,
    prompts: Artifact,
    preflight: Artifact,
    generations: Artifact,
    dataset: Artifact,
    student: Artifact,
    teacher_evaluation: Artifact,
    baseline_evaluation: Artifact,
    student_evaluation: Artifact,
    control_evaluation: Artifact | None = None,
) -> Artifact:
    """Compare the three models and write report.json, report.html and report.md.

    Args:
        settings: What the verdict asks for.
        store: URL of the artefact store.
        prompts: The prompts that all models answered.
        preflight: What was found before: terms of teacher and student, shapes.
        generations: The teacher's answers.
        dataset: The training examples.
        student: The trained student.
        teacher_evaluation: ``evaluation`` artefact of the teacher.
        baseline_evaluation: ``evaluation`` artefact of the student before training.
        student_evaluation: ``evaluation`` artefact of the student.
        control_evaluation: ``evaluation`` artefact of the control, where one was trained.

    Returns:
        Handle of a ``report`` artefact.
    """
    lineage = {
        "prompts": prompts,
        "preflight": preflight,
        "generations": generations,
        "dataset": dataset,
        "student": student,
        "teacher_evaluation": teacher_evaluation,
        "baseline_evaluation": baseline_evaluation,
        "student_evaluation": student_evaluation,
        **({} if control_evaluation is None else {"control_evaluation": control_evaluation}),
    }
    from tasks.renderers.html import render_html

    with STAGE.draft(store, settings, **lineage) as draft:
        report = _compare(settings, lineage)
        losses = open_file(student, "metrics.jsonl")
        (draft.path / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
        (draft.path / REPORT_HTML).write_text(render_html(report, losses), encoding="utf-8")
        (draft.path / REPORT_MARKDOWN).write_text(render_markdown(report), encoding="utf-8")
        draft.counts = {"items": report.items}
        draft.summary = {"verdict": report.verdict, "retained": report.retained.model_dump()}
        stage_logger().info("report: %s, %s", report.verdict, report.reason)
        return draft.publish()


def read_report(report: Artifact) -> Report:
    """Return the content of a report artefact's report.json."""
    return Report.model_validate_json(open_file(report, REPORT_JSON).read_bytes())


def report_file(report: Artifact, kind: Literal["html", "json", "md"]) -> Path:
    """Return the local path of one of a report's files."""
    return open_file(report, f"report.{kind}")


def _compare(settings: ReportSettings, lineage: dict[str, Artifact]) -> Report:
    records = {name: read_record(artifact) for name, artifact in lineage.items()}
    names: tuple[ModelName, ...] = ("teacher", "baseline", "student")
    predictions: dict[str, list[Prediction]] = {
        name: sorted(read_table(lineage[f"{name}_evaluation"], PREDICTIONS), key=lambda row: row["id"]) for name in names
    }
    models: dict[ModelName, ModelReport] = {name: _model(records[f"{name}_evaluation"], predictions[name]) for name in names}
    correct = [[primary_score(row) or 0.0 for row in predictions[name]] for name in names]
    same = [
        student["answer"] is not None
        and teacher["answer"] is not None
        and TASK_TYPES[student["task"]].same(student["answer"], teacher["answer"])
        for student, teacher in zip(predictions["student"], predictions["teacher"], strict=True)
    ]
    retained = paired_bootstrap(correct, lambda mean: _ratio(mean[2], mean[0]))
    verdict, reason = _verdict(retained, settings.min_retained)
    return Report(
        name=settings.name,
        verdict=verdict,
        reason=reason,
        min_retained=settings.min_retained,
        metric=next(iter(models["teacher"].metrics)),
        items=len(same),
        retained=retained,
        gap_closed=paired_bootstrap(correct, lambda mean: _ratio(mean[2] - mean[1], mean[0] - mean[1])),
        improvement=paired_bootstrap(correct, lambda mean: mean[2] - mean[1]),
        agreement=wilson(sum(same), len(same)),
        models=models,
        savings=_savings(models["teacher"], models["student"]),
        lineage=lineage,
        stages={
            name: {"counts": record.counts, "summary": record.summary, "seconds": record.seconds}
            for name, record in records.items()
        },
        interruptions=_interruptions(lineage),
    )


def _interruptions(lineage: dict[str, Artifact]) -> InterruptionsReport:
    """Look through everything that led to the report, also what the lineage has no name for: each teacher of a mixture."""
    found: dict[str, Interruptions | None] = {}
    waiting, seen = list(lineage.items()), set[str]()
    while waiting:
        name, artifact = waiting.pop(0)
        if artifact.fingerprint in seen:
            continue
        seen.add(artifact.fingerprint)
        try:
            record = read_record(artifact)
        except (FileNotFoundError, ValueError):  # of an earlier run, and removed since
            continue
        if INTERRUPTIONS in record.summary:
            found[name] = Interruptions.model_validate(record.summary[INTERRUPTIONS])
        elif _INTERRUPTIBLE.get(artifact.kind) in record.inputs:
            found[name] = None
        waiting += [(f"{role} {each.fingerprint[:8]}", each) for role, each in record.inputs.items()]
    recorded = [figures for figures in found.values() if figures is not None]
    return InterruptionsReport(in_all=add_up(recorded) if recorded else None, stages=found)


def _model(record: Record, predictions: list[Prediction]) -> ModelReport:
    rows = [row for row in predictions if row["scores"]]
    scores = [dict(row["scores"]) for row in rows]
    metrics = {
        name: paired_bootstrap([[each[name] for each in scores if name in each]], lambda mean: mean[0])
        for name in dict.fromkeys(name for each in scores for name in each)
    }
    for name, metric in CORPUS_METRICS.items():
        if chosen := [row for row in rows if name in TASK_TYPES[row["task"]].corpus_metrics]:
            metrics[name] = resampled([row["answer"] for row in chosen], [row["references"] for row in chosen], metric)
    fields: dict[str, Any] = {name: record.summary[name] for name in ("name", "serving")}
    return ModelReport(metrics=metrics, invalid_ratio=record.counts["invalid"] / record.counts["items"], **fields)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide where the denominator is not 0; elsewhere the ratio says nothing and is NaN."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)


def _verdict(retained: Interval, wanted: float) -> tuple[Verdict, str]:
    if retained.low is None or retained.high is None:
        return "inconclusive", "the teacher answered no item correctly, so nothing can be retained of it; mend the teacher first"
    shown = f"{retained.value:.1%} of the teacher's score is retained (95 % interval {retained.low:.1%} to {retained.high:.1%})"
    if retained.low >= wanted:
        return "ship", f"{shown}; the whole interval is above the {wanted:.0%} that were asked for"
    if retained.high < wanted:
        return "do_not_ship", f"{shown}; the whole interval is below the {wanted:.0%} that were asked for"
    return "inconclusive", f"{shown}; it straddles the {wanted:.0%} that were asked for: test more items, or improve the student"


def _savings(teacher: ModelReport, student: ModelReport) -> Savings:
    theirs, ours = teacher.serving, student.serving
    same_machine = theirs.peak_memory_bytes is not None  # an endpoint's throughput says nothing about a machine of ours
    return Savings(
        latency=_saved(ours.latency_seconds.value, theirs.latency_seconds.value),
        memory=_saved(ours.peak_memory_bytes, theirs.peak_memory_bytes),
        size=_saved(ours.weight_bytes, theirs.weight_bytes),
        cost=_saved(theirs.items_per_second, ours.items_per_second) if same_machine else None,
        users=ours.items_per_second / theirs.items_per_second if same_machine else None,
    )


def _saved(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else 1 - ours / theirs
