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
from flows.dispatch import Stages
from flows.evaluation import evaluate_model, write_report
from flows.generation import generate_answers, mix_answers
from flows.judging import compare_models, score_answers
from flows.references import adapt_teacher, require_references, train_control
from flows.scheduling import announce_scheduled_run
from flows.summary import publish_summary
from flows.training import cut_layers, draw_weights, initialise_model, look_ahead, register_endpoint, train_student
from flows.verdict import end_state
from tasks.core.artifact import Artifact, artifact_by_fingerprint, read_record
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
    """Distill a teacher into a student and report whether it may take the teacher's place.

    Every stage whose artefact is already in the store is re-used, so a run that failed or was killed is simply started again.
    A run that came to its end is Completed; the state's name is the verdict: Promote, Hold or Inconclusive.
    """
    announce_scheduled_run()
    config = config.with_limits()
    stages, place, training = Stages(config.store, config.recovery), config.placement, config.student.training
    prompts = stages.run(load_prompts, prepare_prompts, "prompts", place.prompts, settings=config.prompts)
    require_references(config, prompts)
    for sampling in (config.generations.sampling, config.evaluation.sampling):
        sampling.with_labels(read_record(prompts).summary["labels"])  # refuses now, and not when the student has learnt
    models = {name: _find_model(stages, config, settings) for name, settings in config.teachers.items()}
    source = _find_student(stages, config, models[MAIN_TEACHER])
    own_judge = _find_judge(stages, config)
    preflight = _look_ahead(stages, config, models, source, prompts, own_judge)
    teachers = {name: adapt_teacher(stages, config, config.teachers[name], model, prompts) for name, model in models.items()}
    teacher = teachers[MAIN_TEACHER]
    baseline = _prepare_baseline(stages, config, prompts, teacher if config.student.model is None else source)
    generations = _generate(stages, config, prompts, teachers)
    judge = teacher if config.judge is not None and own_judge is None else own_judge
    dataset = stages.run(
        curate_dataset,
        curate,
        "dataset",
        place.curation,
        settings=config.dataset,
        prompts=prompts,
        student=baseline,
        generations=generations,
        judgements=score_answers(stages, config, judge, generations),
    )
    student = stages.run(
        train_student,
        train,
        "student",
        place.training,
        training.runtime.processes,
        settings=training,
        dataset=dataset,
        start=baseline,
        teacher=teacher if training.method in TEACHER_METHODS else None,
    )
    tested = [
        ("teacher", teacher, place.teacher_evaluation, config.teacher.evaluation(config.evaluation)),
        ("baseline", baseline, place.student_evaluation, config.evaluation),
        ("student", student, place.student_evaluation, config.evaluation),
    ]
    if config.student.control:
        control = train_control(stages, config, baseline, prompts, dataset)
        tested.append(("control", control, place.student_evaluation, config.evaluation))
    evaluations: dict[str, Artifact] = {}
    for name, model, where, settings in tested:
        evaluations[f"{name}_evaluation"] = stages.run(
            evaluate_model,
            evaluate,
            f"evaluation of {name}",
            where,
            settings.engine.gpus,
            settings=settings,
            prompts=prompts,
            model=model,
            teacher_evaluation=evaluations.get("teacher_evaluation") if settings.fidelity_candidates else None,
        )
    report = stages.run(
        write_report,
        make_report,
        "report",
        place.report,
        None,
        settings=config.report,
        prompts=prompts,
        preflight=preflight,
        generations=generations,
        dataset=dataset,
        student=student,
        judgements=compare_models(stages, config, judge, prompts, evaluations),
        **evaluations,
    )
    publish_summary(report)
    return end_state(report)


def _find_model(stages: Stages, config: DistillConfig, settings: TeacherSettings, whose: str = "teacher") -> Artifact:
    """Return a teacher before any adaptation, or a judge: a model, an endpoint, or an earlier run's student."""
    if settings.student is not None:
        return artifact_by_fingerprint(config.store, "student", settings.student)
    if settings.endpoint is not None:
        return stages.run(
            register_endpoint, prepare_endpoint, f"{whose}'s endpoint", config.placement.models, settings=settings.endpoint
        )
    if settings.model is None:
        raise SettingsError("the recipe names no teacher; give teacher.model, teacher.endpoint or teacher.student")
    return stages.run(initialise_model, prepare_model, f"{whose}'s model", config.placement.models, settings=settings.model)


def _find_judge(stages: Stages, config: DistillConfig) -> Artifact | None:
    """Return the model that judges answers; None where nobody does, or the teacher as it answers."""
    if config.judge is None or config.judge.by is None:
        return None
    return _find_model(stages, config, config.judge.by, "judge")


def _find_student(stages: Stages, config: DistillConfig, teacher: Artifact) -> Artifact:
    """Return the model that the student is made of: one of its own, or the teacher's."""
    if config.student.model is None:
        return teacher
    return stages.run(initialise_model, prepare_model, "student's model", config.placement.models, settings=config.student.model)


def _look_ahead(
    stages: Stages,
    config: DistillConfig,
    models: dict[str, Artifact],
    student: Artifact,
    prompts: Artifact,
    judge: Artifact | None,
) -> Artifact:
    """Refuse a training that cannot work, with each of the teachers; return what was found about the main one and the judge."""
    training = config.student.training
    curates = judge is not None and config.dataset.filters.judge.mode != "off"
    found = {
        name: stages.run(
            look_ahead,
            check_models,
            "preflight" if name == MAIN_TEACHER else f"preflight of {name}",
            config.placement.preflight,
            settings=plan_preflight(config.preflight, training, judge_curates=curates),
            teacher=model,
            student=student,
            prompts=prompts,
            judge=judge if name == MAIN_TEACHER else None,
        )
        for name, model in models.items()
    }
    pruning = config.student.pruning
    if config.student.fresh is None:  # a fresh student's size is not known yet; a narrower one takes less than is reckoned
        kept_layers = None if pruning is None else pruning.keep_layers or len(pruning.layers) or None
        check_memory(found[MAIN_TEACHER], training, config.longest_row_tokens, kept_layers)
    return found[MAIN_TEACHER]


def _prepare_baseline(stages: Stages, config: DistillConfig, prompts: Artifact, model: Artifact) -> Artifact:
    """Return the student before training: a model as it is, cut down or drawn anew."""
    settings, place = config.student, config.placement.initialisation
    if settings.fresh is not None:
        return stages.run(draw_weights, draw_model, "student's fresh weights", place, settings=settings.fresh, model=model)
    if settings.pruning is None:
        return model
    return stages.run(
        cut_layers, prune_model, "student's pruning", place, settings=settings.pruning, model=model, prompts=prompts
    )


def _generate(stages: Stages, config: DistillConfig, prompts: Artifact, teachers: dict[str, Artifact]) -> Artifact:
    """Return the answers of the teacher, or of all teachers as the mixture says."""
    mixture = config.mixture
    generations: dict[str, Artifact] = {}
    for name, teacher in teachers.items():
        settings = config.teachers[name].generation(config.generations, mixture.selection(name) if mixture else None)
        generations[name] = stages.run(
            generate_answers,
            generate,
            f"generations of {name}" if len(teachers) > 1 else "generations",
            config.placement.generation,
            None if settings.runtime.partition_deployment else settings.runtime.engine.gpus,
            settings=settings,
            prompts=prompts,
            teacher=teacher,
        )
    if mixture is None:
        return generations[MAIN_TEACHER]
    return stages.run(
        mix_answers,
        mix_generations,
        "mixture",
        config.placement.mixture,
        settings=mixture,
        prompts=prompts,
        generations=generations,
    )
