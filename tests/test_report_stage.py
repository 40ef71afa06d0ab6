"""The report stage on evaluations made by hand: what is compared, what stays unknown, and over which rows a score is."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.core.artifact import Artifact
from tasks.core.attempts import INTERRUPTIONS, Interruptions
from tasks.core.caching import Stage
from tasks.core.records import PREDICTIONS, Prediction
from tasks.core.section import Section
from tasks.core.tables import write_table
from tasks.renderers.schema import Report
from tasks.report import ReportSettings, make_report, read_report, report_file

HERE = {"peak_memory_bytes": 400 << 20, "weight_bytes": 100 << 20, "cost_per_1k_requests": None}
ENDPOINT = {"peak_memory_bytes": None, "weight_bytes": None, "cost_per_1k_requests": 0.25}
LABELS = [("CLASSIFICATION", f"label {number % 3}") for number in range(60)]
TEXTS = [("MATH", str(number)) for number in range(40)]


class Named(Section):
    """Settings that tell artefacts apart."""

    name: str


def artifact(
    store: Path, kind: str, name: str, summary: dict[str, Any], rows: list[Prediction] | None = None, **inputs: Artifact
) -> Artifact:
    """Return an artefact with this summary, some losses, predictions if there are any, and what it was made from."""
    with Stage(kind, version=1).draft(str(store), Named(name=name), **inputs) as draft:
        (draft.path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 1.5}))
        if rows is not None:
            write_table(draft.path / PREDICTIONS.file, PREDICTIONS, rows)
            draft.counts = {"items": len(rows), "invalid": 0}
        draft.summary = summary
        return draft.publish()


def evaluated(store: Path, name: str, items: list[tuple[str, str]], right: int, where: dict[str, Any], speed: float) -> Artifact:
    """Return the evaluation of a model that gets every item right but those after the first ``right`` of its task."""
    seen: dict[str, int] = {}
    rows: list[Prediction] = []
    for number, (task, reference) in enumerate(items):
        seen[task] = seen.get(task, 0) + 1
        said = reference if seen[task] <= right else "wrong"
        rows.append(
            Prediction(
                id=f"item {number}",
                task=task,
                completion=said,
                answer=said,
                references=[reference],
                scores=[("accuracy", float(said == reference))],
                finish_reason="stop",
                completion_tokens=1,
            )
        )
    summary = {
        "name": name,
        "serving": {
            "latency_seconds": {"value": 1 / speed, "low": None, "high": None},
            "loads": [],
            "items_per_second": speed,
            "tokens_per_second": speed,
            "kv_bytes_per_token": None,
            "energy_joules_per_item": None,
            "dtype": None,
            **where,
        },
    }
    return artifact(store, "evaluation", name, summary, rows)


def interrupted(killed: int, lost_seconds: float, **lost: int) -> dict[str, Any]:
    """Return the summary of a stage that took 100 seconds."""
    figures = Interruptions(
        attempts=killed + 1,
        killed=killed,
        preempted=0,
        failed=0,
        seconds=100,
        lost_seconds=lost_seconds,
        lost=lost,
        goodput=1 - lost_seconds / 100,
    )
    return {INTERRUPTIONS: figures.model_dump()}


def report_on(store: Path, items: list[tuple[str, str]], teacher: dict[str, Any], **stages: Artifact) -> tuple[Report, Path]:
    """Return the report on a teacher that is right 40 times in each task, a baseline that is 10 and a student that is 30.

    Args:
        store: Folder of the store.
        items: Task and reference of each test item.
        teacher: Where the teacher runs.
        stages: Artefacts to take in place of those that say nothing.
    """
    plain = {kind: artifact(store, kind, kind, {}) for kind in ("prompts", "preflight", "generations", "dataset", "student")}
    made = make_report.fn(
        settings=ReportSettings(name="by-hand"),
        store=str(store),
        **{**plain, **stages},
        teacher_evaluation=evaluated(store, "acme/large|x", items, 40, teacher, speed=10.0),
        baseline_evaluation=evaluated(store, "acme/small", items, 10, HERE, speed=20.0),
        student_evaluation=evaluated(store, "student:0", items, 30, HERE, speed=40.0),
    )
    return read_report(made), report_file(made, "md")


def test_what_runs_here_is_compared_in_every_respect(tmp_path: Path) -> None:
    teacher = {"peak_memory_bytes": 800 << 20, "weight_bytes": 400 << 20, "cost_per_1k_requests": None}
    report, _ = report_on(tmp_path, LABELS, teacher)

    saved = report.savings
    assert (saved.latency, saved.memory, saved.size, saved.cost, saved.users) == (0.75, 0.5, 0.75, 0.75, 4.0)
    assert report.metric == "accuracy"
    assert report.retained.value == pytest.approx(30 / 40)
    assert report.gap_closed.value == pytest.approx(20 / 30)


def test_a_teacher_behind_an_endpoint_is_named_priced_and_compared_only_where_it_can_be(tmp_path: Path) -> None:
    report, markdown = report_on(tmp_path, LABELS, ENDPOINT)

    assert report.models["teacher"].name == "acme/large|x"
    assert report.models["teacher"].serving.cost_per_1k_requests == 0.25
    saved = report.savings
    assert (saved.latency, saved.memory, saved.size, saved.cost, saved.users) == (0.75, None, None, None, None)
    lines = markdown.read_text(encoding="utf-8").splitlines()
    for row in (
        r"| model | acme/large\|x | acme/small | student:0 |",
        "| peak memory | - | 400 MiB | 400 MiB |",
        "| weights | - | 100 MiB | 100 MiB |",
        "| price of 1,000 requests | 0.25 | - | - |",
        "| memory saved | - |",
        "| users on the same machine | - |",
    ):
        assert row in lines


def test_of_labels_and_free_texts_each_has_its_score_and_the_verdict_is_about_all_rows(tmp_path: Path) -> None:
    report, _ = report_on(tmp_path, [*LABELS, *TEXTS], ENDPOINT)

    student = report.models["student"].metrics
    assert list(student) == ["accuracy", "macro_f1", "mcc"]
    assert student["accuracy"].value == pytest.approx(60 / 100)
    assert student["macro_f1"].value == pytest.approx(2 / 3)  # 10 of 20 of each label, and no label wrongly
    assert report.metric == "accuracy"
    assert report.retained.value == pytest.approx(60 / 80)


def test_the_interruptions_of_all_stages_are_added_up(tmp_path: Path) -> None:
    teacher = artifact(tmp_path, "model", "teacher", {})
    generations = artifact(tmp_path, "generations", "answers", interrupted(2, 20, rows=14), teacher=teacher)
    dataset = artifact(tmp_path, "dataset", "dataset", {}, generations=generations)
    student = artifact(tmp_path, "student", "student", interrupted(1, 30, steps=6), dataset=dataset)
    report, markdown = report_on(tmp_path, LABELS, HERE, generations=generations, dataset=dataset, student=student)

    found = report.interruptions
    assert list(found.stages) == ["generations", "student"]
    assert found.in_all is not None
    assert (found.in_all.attempts, found.in_all.killed, found.in_all.lost) == (5, 3, {"rows": 14, "steps": 6})
    line = "Interruptions: 5 attempts, 3 killed, 50 s of work lost (14 rows, 6 steps), goodput 75.0%"
    assert line in markdown.read_text(encoding="utf-8").splitlines()


def test_each_teacher_of_a_mixture_and_its_own_training_count(tmp_path: Path) -> None:
    references = artifact(tmp_path, "dataset", "references", {})
    adapted = artifact(tmp_path, "student", "adapted", interrupted(1, 5, steps=3), dataset=references)
    one = artifact(tmp_path, "generations", "one", interrupted(1, 10, rows=4), teacher=adapted)
    two = artifact(tmp_path, "generations", "two", interrupted(0, 0), teacher=artifact(tmp_path, "model", "two", {}))
    mixture = artifact(tmp_path, "generations", "mixture", {}, generations_teacher=one, generations_two=two)
    report, _ = report_on(tmp_path, LABELS, HERE, generations=mixture)

    names = [f"{role} {made.fingerprint[:8]}" for role, made in (("generations_teacher", one), ("generations_two", two))]
    assert list(report.interruptions.stages) == [*names, f"teacher {adapted.fingerprint[:8]}"]
    assert report.interruptions.in_all is not None
    assert report.interruptions.in_all.lost == {"rows": 4, "steps": 3}


def test_stages_of_an_earlier_release_still_give_a_report(tmp_path: Path) -> None:
    teacher, dataset = artifact(tmp_path, "model", "teacher", {}), artifact(tmp_path, "dataset", "dataset", {})
    generations = artifact(tmp_path, "generations", "old", {}, teacher=teacher)
    student = artifact(tmp_path, "student", "old", {}, dataset=dataset)
    report, markdown = report_on(tmp_path, LABELS, HERE, generations=generations, student=student)

    assert report.interruptions.in_all is None
    assert report.interruptions.stages == {"generations": None, "student": None}
    assert "Interruptions: not recorded" in markdown.read_text(encoding="utf-8").splitlines()


def test_what_led_to_the_report_may_be_gone(tmp_path: Path) -> None:
    teacher = artifact(tmp_path, "model", "teacher", {})
    generations = artifact(tmp_path, "generations", "answers", interrupted(1, 20, rows=14), teacher=teacher)
    (tmp_path / teacher.key / "record.json").unlink()
    report, _ = report_on(tmp_path, LABELS, HERE, generations=generations)

    assert list(report.interruptions.stages) == ["generations"]
