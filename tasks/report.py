"""The report stage: student against baseline against teacher, with intervals, and whether the student may take its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tasks.comparing.case_study import measure_savings, tabulate_case_study
from tasks.comparing.caveats import find_caveats
from tasks.comparing.costs import reckon_costs
from tasks.comparing.curation import describe_curation
from tasks.comparing.earlier import find_earlier, summarise_run
from tasks.comparing.fidelity import add_fidelity, fidelity_caveats, read_fidelity
from tasks.comparing.gate import conclude, judge_student
from tasks.comparing.items import read_items
from tasks.comparing.lineage import Ancestor, find_ancestors, gather_interruptions, trace
from tasks.comparing.quality import compare_scores, compare_tasks
from tasks.comparing.settings import ReportSettings
from tasks.comparing.side_by_side import show_side_by_side
from tasks.comparing.slices import slice_items
from tasks.core.artifact import Artifact, Record, open_file
from tasks.core.caching import Stage
from tasks.core.progress import stage_logger
from tasks.judging.caveats import judge_caveats
from tasks.judging.preference import read_preferences
from tasks.renderers.markdown import render_markdown
from tasks.renderers.schema import EarlierRun, ModelName, Opponent, Preference, Report
from tasks.teachers.serving import Serving

STAGE = Stage("report", version=14)
REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
REPORT_MARKDOWN = "report.md"


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
    judgements: Artifact | None = None,
) -> Artifact:
    """Compare the models and write report.json, report.html and report.md.

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
        control_evaluation: ``evaluation`` artefact of a student trained on references; None: there is none.
        judgements: ``generations`` artefact of a judge that compared the student with the others; None: nobody did.

    Returns:
        Handle of a ``report`` artefact.

    Raises:
        DataError: If the models did not answer the same test prompts.
    """
    given = {
        "prompts": prompts,
        "preflight": preflight,
        "generations": generations,
        "dataset": dataset,
        "student": student,
        "teacher_evaluation": teacher_evaluation,
        "baseline_evaluation": baseline_evaluation,
        "control_evaluation": control_evaluation,
        "student_evaluation": student_evaluation,
        "judgements": judgements,
    }
    inputs = {name: artifact for name, artifact in given.items() if artifact is not None}
    from tasks.renderers.html import render_html

    with STAGE.draft(store, settings, **inputs) as draft:
        fingerprint = STAGE.fingerprint(settings, inputs)
        report = _compare(settings, inputs, find_earlier(store, STAGE.kind, STAGE.version, settings.name, fingerprint))
        losses = open_file(student, "metrics.jsonl")
        (draft.path / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
        (draft.path / REPORT_HTML).write_text(render_html(report, losses), encoding="utf-8")
        (draft.path / REPORT_MARKDOWN).write_text(render_markdown(report), encoding="utf-8")
        draft.counts = {"items": report.items}
        draft.summary = summarise_run(report.name, report.verdict, report.retained, report.items, report.tasks)
        stage_logger().info("report: %s, %s", report.verdict, report.reason)
        return draft.publish()


def read_report(report: Artifact) -> Report:
    """Return the content of a report artefact's report.json."""
    return Report.model_validate_json(open_file(report, REPORT_JSON).read_bytes())


def report_file(report: Artifact, kind: Literal["html", "json", "md"]) -> Path:
    """Return the local path of one of a report's files."""
    return open_file(report, f"report.{kind}")


def _compare(settings: ReportSettings, inputs: dict[str, Artifact], earlier: list[EarlierRun]) -> Report:
    evaluations = _by_model(inputs)
    ancestors = find_ancestors(inputs)
    records: dict[ModelName, Record] = {model: ancestors[f"{model}_evaluation"].record for model in evaluations}
    names: dict[ModelName, str] = {model: record.summary["name"] for model, record in records.items()}
    serving: dict[ModelName, Serving] = {
        model: Serving.model_validate(record.summary["serving"]) for model, record in records.items()
    }
    items = read_items(inputs["prompts"], evaluations)
    preferences = read_preferences(inputs["judgements"]) if "judgements" in inputs else {}
    figures: dict[Opponent, dict[str, Preference]] = {
        opponent: {task: shown for task, each in found.items() if (shown := each.figures()) is not None}
        for opponent, found in preferences.items()
    }
    tasks = add_fidelity(compare_tasks(items, figures, settings.min_retained), items, read_fidelity(evaluations))
    overall = compare_scores(items.scored)
    costs = reckon_costs(settings.prices, serving, _without_control(inputs), len(items))
    saved = measure_savings(serving, evaluations, costs)
    conditions = judge_student(settings, items, tasks, saved)
    verdict, reason = conclude(conditions)
    curation = describe_curation(ancestors["dataset"].record)
    return Report(
        name=settings.name,
        verdict=verdict,
        reason=reason,
        conditions=conditions,
        items=len(items),
        **overall,
        tasks=tasks,
        slices=slice_items(items),
        serving=serving,
        names=names,
        case_study=tabulate_case_study(serving, items, overall["retained"], saved, costs),
        costs=costs,
        curation=curation,
        side_by_side=show_side_by_side(items, settings.shown_items),
        caveats=[
            *find_caveats(items, serving, records, curation, costs),
            *judge_caveats(preferences, names["teacher"]),
            *fidelity_caveats(records),
        ],
        earlier=earlier,
        lineage=trace(inputs, ancestors, names),
        stages={
            name: {"counts": record.counts, "summary": record.summary, "seconds": record.seconds}
            for name, (_, record) in ancestors.items()
            if name in inputs
        },
        interruptions=gather_interruptions(ancestors),
    )


def _without_control(inputs: Mapping[str, Artifact]) -> dict[str, Ancestor]:
    """Return what the distillation took: the control is trained for comparison only."""
    return find_ancestors({name: artifact for name, artifact in inputs.items() if name != "control_evaluation"})


def _by_model(inputs: Mapping[str, Artifact]) -> dict[ModelName, Artifact]:
    models: tuple[ModelName, ...] = ("teacher", "baseline", "control", "student")
    return {model: inputs[f"{model}_evaluation"] for model in models if f"{model}_evaluation" in inputs}
