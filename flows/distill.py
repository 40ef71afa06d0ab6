"""The whole distillation: prompts, generations, dataset, student, evaluation, report.

``python -m flows.distill RECIPE.yaml`` runs it here; its deployment runs it on a Prefect worker.
"""

if __name__ == "__main__":  # before the imports below: --help must not wait seconds for Prefect to load
    import sys

    from flows.command import main

    sys.exit(main())

from prefect import flow

from flows.config import DistillConfig, TeacherSettings
from flows.curation import curate_dataset, load_prompts
from flows.dispatch import run_stage
from flows.evaluation import evaluate_model, write_report
from flows.generation import generate_answers, mix_answers
from flows.summary import publish_summary
from flows.training import cut_layers, initialise_model, register_endpoint, train_student
from tasks.core.artifact import Artifact, artifact_by_fingerprint
from tasks.core.errors import SettingsError
from tasks.dataset import curate
from tasks.evaluation import evaluate
from tasks.generations import generate
from tasks.mixture import MAIN_TEACHER, mix_generations
from tasks.model import prepare_endpoint, prepare_model, prune_model
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
    teacher = _prepare_teacher(config, config.teacher, prompts)
    baseline = _prepare_baseline(config, prompts, teacher)
    generations = _generate(config, prompts, teacher)
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
            settings=config.teacher.evaluation(config.evaluation) if name == "teacher" else config.evaluation,
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


def _prepare_teacher(config: DistillConfig, settings: TeacherSettings, prompts: Artifact) -> Artifact:
    """Return a teacher: a model as it is or trained on the prompts' references, an endpoint, or an earlier run's student."""
    store = config.store
    if settings.student is not None:
        return artifact_by_fingerprint(store, "student", settings.student)
    if settings.endpoint is not None:
        return run_stage(register_endpoint, prepare_endpoint, "teacher's endpoint", settings=settings.endpoint, store=store)
    if settings.model is None:
        raise SettingsError("the recipe names no teacher; give teacher.model, teacher.endpoint or teacher.student")
    model = run_stage(initialise_model, prepare_model, "teacher's model", settings=settings.model, store=store)
    if settings.adaptation is None:
        return model
    references = run_stage(
        curate_dataset, curate, "references", settings=config.dataset, store=store, prompts=prompts, student=model
    )
    return run_stage(
        train_student, train, "teacher's adaptation", settings=settings.adaptation, store=store, dataset=references, start=model
    )


def _generate(config: DistillConfig, prompts: Artifact, teacher: Artifact) -> Artifact:
    """Return the answers of the teacher, or of all teachers as the mixture says."""
    mixture = config.mixture
    teachers = {MAIN_TEACHER: config.teacher, **config.further_teachers}
    generations = {
        name: run_stage(
            generate_answers,
            generate,
            f"generations of {name}" if len(teachers) > 1 else "generations",
            settings=settings.generation(config.generations, mixture.selection(name) if mixture else None),
            store=config.store,
            prompts=prompts,
            teacher=teacher if name == MAIN_TEACHER else _prepare_teacher(config, settings, prompts),
        )
        for name, settings in teachers.items()
    }
    if mixture is None:
        return generations[MAIN_TEACHER]
    return run_stage(
        mix_answers, mix_generations, "mixture", settings=mixture, store=config.store, prompts=prompts, generations=generations
    )
