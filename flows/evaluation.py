"""The flows at the end: test one model, and compare the three."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.evaluation import EvaluationSettings, evaluate
from tasks.report import ReportSettings, make_report


@flow(name="evaluation", persist_result=True, result_serializer="json")
def evaluate_model(
    settings: EvaluationSettings, store: str, prompts: Artifact, model: Artifact, teacher_evaluation: Artifact | None = None
) -> Artifact:
    """Test one model on the test prompts, and compare it with the teacher token by token if it is not the teacher."""
    return run_cached(
        evaluate, settings=settings, store=store, prompts=prompts, model=model, teacher_evaluation=teacher_evaluation
    )


@flow(name="report", persist_result=True, result_serializer="json")
def write_report(
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
    """Compare student, baseline and teacher, and the control if there is one."""
    return run_cached(
        make_report,
        settings=settings,
        store=store,
        prompts=prompts,
        preflight=preflight,
        generations=generations,
        dataset=dataset,
        student=student,
        teacher_evaluation=teacher_evaluation,
        baseline_evaluation=baseline_evaluation,
        student_evaluation=student_evaluation,
        control_evaluation=control_evaluation,
        judgements=judgements,
    )
