"""The report stage on evaluations made by hand: what it puts together, what stays unknown, and what earlier runs it finds."""

from pathlib import Path

import pytest

from tasks.core.artifact import Artifact
from tasks.core.errors import DataError
from tasks.core.records import Prompt
from tasks.renderers.schema import Report
from tasks.report import STAGE, ReportSettings, make_report, read_report, report_file
from tasks.teachers.serving import ServingMemory
from tests.comparing.artifacts import artifact, evaluation, interrupted
from tests.comparing.models import prompt, right_until, serving

LABELS = [prompt(number, "CLASSIFICATION", f"label {number % 3}", text="?" * number, source="web") for number in range(60)]
SETTINGS = ReportSettings(name="by-hand")
DATASET = {
    "funnel": [
        {"filter": "empty", "mode": "drop", "seen": 9, "marginal": 1, "independent": 1, "seconds": 0.1, "wanted": False},
        {
            "filter": "decontamination",
            "mode": "annotate",
            "seen": 8,
            "marginal": 0,
            "independent": 2,
            "seconds": 1,
            "notes": {"held_out": {"test": 60}},
            "wanted": False,
        },
    ],
    "examples": [{"reasons": ["empty"], "prompt": "Why?", "completion": ""}],
    "labels_before": {"label 0": 9},
    "labels_after": {"label 0": 8},
    "contamination": {"held_out": {"test": {"texts": 60, "repeated": 2}}},
}


def made(store: Path, settings: ReportSettings = SETTINGS, items: list[Prompt] = LABELS, **stages: Artifact) -> Artifact:
    """Return the report on a teacher that is right 40 times, a baseline that is 10 times and a student that is 30 times."""
    kinds = ("preflight", "generations", "dataset", "student")
    plain = {kind: artifact(store, kind, kind, {}) for kind in kinds} | {
        "prompts": artifact(store, "prompts", "prompts", {}, prompts=items),
        "teacher_evaluation": evaluation(store, "acme/large|x", items, right_until(40, len(items)), serving(0.1, 800 << 20)),
        "baseline_evaluation": evaluation(store, "acme/small", items, right_until(10, len(items)), serving(0.05)),
        "student_evaluation": evaluation(store, "student:0", items, right_until(30, len(items)), serving(0.025)),
    }
    return make_report.fn(settings=settings, store=str(store), **(plain | stages))


def report_on(store: Path, settings: ReportSettings = SETTINGS, **stages: Artifact) -> Report:
    return read_report(made(store, settings, LABELS, **stages))


def test_models_that_run_here_are_compared_in_every_respect(tmp_path: Path) -> None:
    report = report_on(tmp_path)

    assert report.retained.value == pytest.approx(30 / 40)
    assert report.gap_closed.value == pytest.approx(20 / 30)
    assert report.verdict == "hold" and report.reason.startswith("quality: CLASSIFICATION: 75.0 %")
    changes = {row.figure: row.change for row in report.case_study}
    values = {figure: round(change.value, 6) for figure, change in changes.items() if change is not None}
    assert values == {"latency": 0.75, "memory": 0.5, "accuracy kept": 0.75, "cost": 0.75, "concurrent users": 4.0}
    latency = changes["latency"]
    assert latency is not None and latency.low is not None and latency.low == pytest.approx(0.75, abs=1e-3)
    assert report.names == {"teacher": "acme/large|x", "baseline": "acme/small", "student": "student:0"}
    assert len(report.side_by_side) == 40
    assert {slice.field for slice in report.slices} == {"prompt length", "label"}


def test_the_memory_saved_is_of_what_serving_needs_and_not_of_what_an_engine_took(tmp_path: Path) -> None:
    large = ServingMemory(
        weight_bytes=810 << 30, kv_bytes_per_token=516_096, kv_bytes_per_request=4096 * 516_096, request_tokens=4096, requests=64
    )
    small = ServingMemory(
        weight_bytes=15 << 30, kv_bytes_per_token=131_072, kv_bytes_per_request=4096 * 131_072, request_tokens=4096, requests=64
    )
    on_gpus = serving(0.1).model_copy(update={"peak_memory_bytes": None})  # any model fills its GPUs there
    teacher = evaluation(tmp_path, "acme/large|x", LABELS, right_until(40, 60), on_gpus.model_copy(update={"memory": large}))
    student = evaluation(tmp_path, "student:0", LABELS, right_until(39, 60), on_gpus.model_copy(update={"memory": small}))
    report = report_on(
        tmp_path,
        ReportSettings(min_memory_saving=0.9),
        teacher_evaluation=teacher,
        student_evaluation=student,
    )

    change = next(row.change for row in report.case_study if row.figure == "memory")
    assert large.total_bytes == (810 << 30) + 64 * 4096 * 516_096  # 126 GiB of keys and values
    assert change is not None and change.value == pytest.approx(1 - (15 + 32) / (810 + 126))
    condition = next(condition for condition in report.conditions if condition.name == "memory saved")
    assert (condition.outcome, condition.found) == ("pass", "95.0 %")
    assert condition.wanted == "at least 90 % of the memory that the teacher needs to serve"


def test_nothing_is_kept_of_a_teacher_that_has_nothing_right(tmp_path: Path) -> None:
    wrong = evaluation(tmp_path, "acme/large|x", LABELS, right_until(0, len(LABELS)), serving(0.1, 800 << 20))
    report = report_on(tmp_path, teacher_evaluation=wrong)

    assert next(row.change for row in report.case_study if row.figure == "accuracy kept") is None


def test_of_a_teacher_behind_an_endpoint_only_what_can_be_known_is_told(tmp_path: Path) -> None:
    endpoint = serving(0.1, memory=None, price=0.25, dtype=None)
    teacher = evaluation(tmp_path, "acme/large|x", LABELS, right_until(40, 60), endpoint)
    report = report_on(tmp_path, teacher_evaluation=teacher)

    rows = {row.figure: row for row in report.case_study}
    assert rows["latency"].change is not None
    assert (rows["memory"].change, rows["cost"].change, rows["concurrent users"].change) == (None, None, None)
    assert rows["memory"].values["teacher"] is None
    assert report.costs.teacher_per_1k_requests == 0.25
    assert [caveat for caveat in report.caveats if "behind an endpoint" in caveat]


def test_a_control_is_a_fourth_model(tmp_path: Path) -> None:
    control = evaluation(tmp_path, "student:1", LABELS, right_until(33, 60), serving(0.025))
    report = report_on(tmp_path, control_evaluation=control)

    assert list(report.names) == ["teacher", "baseline", "control", "student"]
    assert report.tasks[0].metrics["accuracy"]["control"].value == pytest.approx(33 / 60)
    assert report.lineage.artifacts["control_evaluation"] == control


def test_the_curation_is_shown_as_its_record_tells_it(tmp_path: Path) -> None:
    dataset = artifact(tmp_path, "dataset", "dataset", DATASET, counts={"train": 7, "validation": 1, "rejected": 1})
    report = report_on(tmp_path, dataset=dataset)

    assert (report.curation.answers, report.curation.kept) == (9, 8)
    assert [step.filter for step in report.curation.funnel] == ["empty", "decontamination"]
    assert report.curation.examples[0].reasons == ["empty"]
    assert "Most of 2 test prompts stands in rows that the student was trained on" in " ".join(report.caveats)


def test_earlier_reports_of_the_same_name_are_listed_newest_first(tmp_path: Path) -> None:
    first = made(tmp_path, SETTINGS.model_copy(update={"min_retained": 0.5}))
    made(tmp_path, SETTINGS.model_copy(update={"name": "another"}))
    second = made(tmp_path, SETTINGS.model_copy(update={"min_retained": 0.6}))
    damaged = made(tmp_path, SETTINGS.model_copy(update={"min_retained": 0.7}))
    (tmp_path / damaged.key / "record.json").write_text("{")
    artifact(tmp_path, STAGE.kind, "of another release", {"name": "by-hand"})

    earlier = report_on(tmp_path).earlier
    assert [run.fingerprint for run in earlier] == [second.fingerprint, first.fingerprint]
    assert earlier[1].verdict == read_report(first).verdict
    assert earlier[1].student == {"CLASSIFICATION": 0.5}
    assert (earlier[1].items, earlier[1].retained.value) == (60, pytest.approx(0.75))


def test_the_lineage_names_models_with_revisions_licences_settings_and_libraries(tmp_path: Path) -> None:
    model = artifact(tmp_path, "model", "acme/large", {"source": "acme/large", "revision": "0123abc"})
    teacher = evaluation(tmp_path, "acme/large", LABELS, right_until(40, 60), serving(0.1), model=model)
    terms = [{"model": "acme/large", "name": "Apache License 2.0", "url": "https://example.org/licence"}]
    preflight = artifact(
        tmp_path, "preflight", "preflight", {"terms": {"teacher": terms, "student": []}, "conditions": ["Keep it."]}
    )
    lineage = report_on(tmp_path, teacher_evaluation=teacher, preflight=preflight).lineage

    assert lineage.models["teacher"] == "acme/large@0123abc"
    assert lineage.licences == {"acme/large": "Apache License 2.0, https://example.org/licence"}
    assert lineage.release_conditions == ["Keep it."]
    assert lineage.settings["teacher_evaluation"]["name"] == "acme/large"
    assert "pydantic" in lineage.libraries or "prefect" in lineage.libraries


def test_a_model_that_answered_other_prompts_is_refused(tmp_path: Path) -> None:
    other = evaluation(tmp_path, "acme/small", LABELS[:50], right_until(10, 50), serving(0.05))

    with pytest.raises(DataError, match="50 predictions that are not those of the 60 test prompts"):
        report_on(tmp_path, baseline_evaluation=other)


def test_the_report_is_written_in_three_forms(tmp_path: Path) -> None:
    report = made(tmp_path)

    assert report_file(report, "md").read_text(encoding="utf-8").startswith("# by-hand: Hold")
    assert "<html" in report_file(report, "html").read_text(encoding="utf-8")
    assert read_report(report).name == "by-hand"


def test_the_interruptions_of_all_stages_are_added_up(tmp_path: Path) -> None:
    teacher = artifact(tmp_path, "model", "teacher", {})
    generations = artifact(tmp_path, "generations", "answers", interrupted(2, 20, rows=14), teacher=teacher)
    dataset = artifact(tmp_path, "dataset", "dataset", {}, generations=generations)
    student = artifact(tmp_path, "student", "student", interrupted(1, 30, steps=6), dataset=dataset)
    found = report_on(tmp_path, generations=generations, dataset=dataset, student=student).interruptions

    assert list(found.stages) == ["generations", "student"]
    assert found.in_all is not None
    assert (found.in_all.attempts, found.in_all.killed, found.in_all.lost) == (5, 3, {"rows": 14, "steps": 6})


def test_each_teacher_of_a_mixture_and_its_own_training_count(tmp_path: Path) -> None:
    references = artifact(tmp_path, "dataset", "references", {})
    adapted = artifact(tmp_path, "student", "adapted", interrupted(1, 5, steps=3), dataset=references)
    one = artifact(tmp_path, "generations", "one", interrupted(1, 10, rows=4), teacher=adapted)
    two = artifact(tmp_path, "generations", "two", interrupted(0, 0), teacher=artifact(tmp_path, "model", "two", {}))
    mixture = artifact(tmp_path, "generations", "mixture", {}, generations_teacher=one, generations_two=two)
    found = report_on(tmp_path, generations=mixture).interruptions

    names = [f"{role} {made.fingerprint[:8]}" for role, made in (("generations_teacher", one), ("generations_two", two))]
    assert list(found.stages) == [*names, f"teacher {adapted.fingerprint[:8]}"]
    assert found.in_all is not None
    assert found.in_all.lost == {"rows": 4, "steps": 3}


def test_stages_of_an_earlier_release_still_give_a_report(tmp_path: Path) -> None:
    teacher, dataset = artifact(tmp_path, "model", "teacher", {}), artifact(tmp_path, "dataset", "dataset", {})
    generations = artifact(tmp_path, "generations", "old", {}, teacher=teacher)
    student = artifact(tmp_path, "student", "old", {}, dataset=dataset)
    report = report_on(tmp_path, generations=generations, student=student)

    assert report.interruptions.in_all is None
    assert report.interruptions.stages == {"generations": None, "student": None}
    assert report.curation.funnel == []


def test_what_led_to_the_report_may_be_gone(tmp_path: Path) -> None:
    teacher = artifact(tmp_path, "model", "teacher", {})
    generations = artifact(tmp_path, "generations", "answers", interrupted(1, 20, rows=14), teacher=teacher)
    (tmp_path / teacher.key / "record.json").unlink()

    assert list(report_on(tmp_path, generations=generations).interruptions.stages) == ["generations"]
