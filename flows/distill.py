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
from flows.training import cut_layers, draw_weights, initialise_model, look_ahead, register_endpoint, train_student
from tasks.core.artifact import Artifact, artifact_by_fingerprint
from tasks.core.errors import SettingsError
from tasks.dataset import curate
from tasks.evaluation import evaluate
from tasks.generations import generate
from tasks.initialisation import draw_model, prune_model
from tasks.mixture import MAIN_TEACHER, mix_generations
from tasks.model import prepare_endpoint, prepare_model
from tasks.preflight import check_memory, check_models, plan_preflight
from tasks.prompts import prepare_prompts
from tasks.report import make_report
from tasks.student import train
from tasks.training.settings import TEACHER_METHODS


@flow(name="distill", persist_result=True, result_serializer="json", flow_run_name="{config.report.name}")
def distill(config: DistillConfig) -> Artifact:
    """Distill a teacher into a student and report whether it is good enough to ship.

    Every stage whose artefact is already in the store is re-used, so a run that failed or was killed is simply started again.
    """
    store, training = config.store, config.student.training
    prompts = run_stage(load_prompts, prepare_prompts, "prompts", settings=config.prompts, store=store)
    models = {name: _find_model(config, settings) for name, settings in config.teachers.items()}
    source = _find_student(config, models[MAIN_TEACHER])
    preflight = _look_ahead(config, models, source, prompts)
    teachers = {name: _adapt(config, config.teachers[name], model, prompts) for name, model in models.items()}
    teacher = teachers[MAIN_TEACHER]
    baseline = _prepare_baseline(config, prompts, teacher if config.student.model is None else source)
    generations = _generate(config, prompts, teachers)
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
        train_student,
        train,
        "student",
        settings=training,
        store=store,
        dataset=dataset,
        start=baseline,
        teacher=teacher if training.method in TEACHER_METHODS else None,
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
        preflight=preflight,
        generations=generations,
        dataset=dataset,
        student=student,
        **evaluations,
    )
    publish_summary(report)
    return report


def _find_model(config: DistillConfig, settings: TeacherSettings) -> Artifact:
    """Return a teacher before any adaptation: a model, an endpoint, or an earlier run's student."""
    store = config.store
    if settings.student is not None:
        return artifact_by_fingerprint(store, "student", settings.student)
    if settings.endpoint is not None:
        return run_stage(register_endpoint, prepare_endpoint, "teacher's endpoint", settings=settings.endpoint, store=store)
    if settings.model is None:
        raise SettingsError("the recipe names no teacher; give teacher.model, teacher.endpoint or teacher.student")
    return run_stage(initialise_model, prepare_model, "teacher's model", settings=settings.model, store=store)


def _find_student(config: DistillConfig, teacher: Artifact) -> Artifact:
    """Return the model that the student is made of: one of its own, or the teacher's."""
    if config.student.model is None:
        return teacher
    return run_stage(initialise_model, prepare_model, "student's model", settings=config.student.model, store=config.store)


def _look_ahead(config: DistillConfig, models: dict[str, Artifact], student: Artifact, prompts: Artifact) -> Artifact:
    """Refuse a training that cannot work, with each of the teachers; return what was found about the main one."""
    training = config.student.training
    found = {
        name: run_stage(
            look_ahead,
            check_models,
            "preflight" if name == MAIN_TEACHER else f"preflight of {name}",
            settings=plan_preflight(config.preflight, training),
            store=config.store,
            teacher=model,
            student=student,
            prompts=prompts,
        )
        for name, model in models.items()
    }
    pruning = config.student.pruning
    if config.student.fresh is None:  # a fresh student's size is not known yet; a narrower one takes less than is reckoned
        kept_layers = None if pruning is None else pruning.keep_layers or len(pruning.layers) or None
        check_memory(found[MAIN_TEACHER], training, config.longest_row_tokens, kept_layers)
    return found[MAIN_TEACHER]


def _adapt(config: DistillConfig, settings: TeacherSettings, model: Artifact, prompts: Artifact) -> Artifact:
    """Return a teacher as it answers: as it is, or trained on the prompts' references."""
    if settings.adaptation is None:
        return model
    references = run_stage(
        curate_dataset, curate, "references", settings=config.dataset, store=config.store, prompts=prompts, student=model
    )
    return run_stage(
        train_student,
        train,
        "teacher's adaptation",
        settings=settings.adaptation,
        store=config.store,
        dataset=references,
        start=model,
    )


def _prepare_baseline(config: DistillConfig, prompts: Artifact, model: Artifact) -> Artifact:
    """Return the student before training: a model as it is, cut down or drawn anew."""
    settings, store = config.student, config.store
    if settings.fresh is not None:
        return run_stage(draw_weights, draw_model, "student's fresh weights", settings=settings.fresh, store=store, model=model)
    if settings.pruning is None:
        return model
    return run_stage(
        cut_layers, prune_model, "student's pruning", settings=settings.pruning, store=store, model=model, prompts=prompts
    )


def _generate(config: DistillConfig, prompts: Artifact, teachers: dict[str, Artifact]) -> Artifact:
    """Return the answers of the teacher, or of all teachers as the mixture says."""
    mixture = config.mixture
    generations = {
        name: run_stage(
            generate_answers,
            generate,
            f"generations of {name}" if len(teachers) > 1 else "generations",
            settings=config.teachers[name].generation(config.generations, mixture.selection(name) if mixture else None),
            store=config.store,
            prompts=prompts,
            teacher=teacher,
        )
        for name, teacher in teachers.items()
    }
    if mixture is None:
        return generations[MAIN_TEACHER]
    return run_stage(
        mix_answers, mix_generations, "mixture", settings=mixture, store=config.store, prompts=prompts, generations=generations
    )
