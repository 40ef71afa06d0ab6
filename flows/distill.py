"""The whole distillation: prompts, generations, dataset, student, evaluation, report.

``python -m flows.distill RECIPE.yaml`` runs it here; its deployment runs it on a Prefect worker.
"""

if __name__ == "__main__":  # before the imports below: --help must not wait seconds for Prefect to load
    import sys

    from flows.command import main

    sys.exit(main())

from prefect import flow

from flows.config import DistillConfig
from flows.curation import curate_dataset, load_prompts
from flows.dispatch import run_stage
from flows.evaluation import evaluate_model, write_report
from flows.generation import generate_answers
from flows.summary import publish_summary
from flows.training import cut_layers, initialise_model, train_student
from tasks.core.artifact import Artifact, artifact_by_fingerprint
from tasks.core.errors import SettingsError
from tasks.dataset import curate
from tasks.evaluation import evaluate
from tasks.generations import generate
from tasks.model import prepare_model, prune_model
from tasks.prompts import prepare_prompts
from tasks.report import make_report
from tasks.student import train


@flow(name="distill", persist_result=True, result_serializer="json", flow_run_name="{config.report.name}")
def distill(config: DistillConfig) -> Artifact:
    """Distill a teacher into a student and report whether it is good enough to ship.

    Every stage whose artefact is already in the store is re-used, so a run that failed or was killed is simply started again.
    """
    store = config.store
    prompts = run_stage(load_prompts, prepare_prompts, "prompts", settings=config.prompts, store=store)
    teacher = _prepare_teacher(config, prompts)
    baseline = _prepare_baseline(config, prompts, teacher)
    generations = run_stage(
        generate_answers, generate, "generations", settings=config.generations, store=store, prompts=prompts, teacher=teacher
    )
    dataset = run_stage(
        curate_dataset,
        curate,
        "dataset",
        settings=config.dataset,
        store=store,
        prompts=prompts,
        student=baseline,
        generations=generations,
    )
    student = run_stage(
        train_student, train, "student", settings=config.student.training, store=store, dataset=dataset, start=baseline
    )
    evaluations = {
        f"{name}_evaluation": run_stage(
            evaluate_model,
            evaluate,
            f"evaluation of {name}",
            settings=config.evaluation,
            store=store,
            prompts=prompts,
            model=model,
        )
        for name, model in (("teacher", teacher), ("baseline", baseline), ("student", student))
    }
    report = run_stage(
        write_report,
        make_report,
        "report",
        settings=config.report,
        store=store,
        prompts=prompts,
        generations=generations,
        dataset=dataset,
        student=student,
        **evaluations,
    )
    publish_summary(report)
    return report


def _prepare_baseline(config: DistillConfig, prompts: Artifact, teacher: Artifact) -> Artifact:
    """Return the student before training: a model of its own or the teacher's, as it is or cut down."""
    settings, store, model = config.student, config.store, teacher
    if settings.model is not None:
        model = run_stage(initialise_model, prepare_model, "student's model", settings=settings.model, store=store)
    if settings.pruning is None:
        return model
    return run_stage(
        cut_layers, prune_model, "student's pruning", settings=settings.pruning, store=store, model=model, prompts=prompts
    )


def _prepare_teacher(config: DistillConfig, prompts: Artifact) -> Artifact:
    """Return the teacher: a model as it is, a model trained on the prompts' references, or the student of an earlier run."""
    settings, store = config.teacher, config.store
    if settings.student is not None:
        return artifact_by_fingerprint(store, "student", settings.student)
    if settings.model is None:
        raise SettingsError("the recipe names no teacher; give teacher.model or teacher.student")
    model = run_stage(initialise_model, prepare_model, "teacher's model", settings=settings.model, store=store)
    if settings.adaptation is None:
        return model
    references = run_stage(
        curate_dataset, curate, "references", settings=config.dataset, store=store, prompts=prompts, student=model
    )
    return run_stage(
        train_student, train, "teacher's adaptation", settings=settings.adaptation, store=store, dataset=references, start=model
    )
