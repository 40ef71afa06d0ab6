"""Judging in a run: the flows that make judging prompts, and the stages that have the judge answer them."""

from prefect import flow

from flows.config import DistillConfig, JudgeSettings
from flows.dispatch import Stages
from flows.generation import generate_answers
from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.generations import generate
from tasks.judgement import ask_for_preferences, ask_for_scores
from tasks.judging.settings import SCALE, SIDES, PairingSettings, ScoringSettings, Verdicts, held_to_form


@flow(name="scoring-prompts", persist_result=True, result_serializer="json")
def prepare_scoring(settings: ScoringSettings, store: str, generations: Artifact) -> Artifact:
    """Make the prompts that have the teacher's answers scored."""
    return run_cached(ask_for_scores, settings=settings, store=store, generations=generations)


@flow(name="pairing-prompts", persist_result=True, result_serializer="json")
def prepare_pairing(
    settings: PairingSettings,
    store: str,
    prompts: Artifact,
    teacher_evaluation: Artifact,
    student_evaluation: Artifact,
    baseline_evaluation: Artifact | None = None,
) -> Artifact:
    """Make the prompts that have the student compared with the teacher, and with the baseline."""
    return run_cached(
        ask_for_preferences,
        settings=settings,
        store=store,
        prompts=prompts,
        teacher_evaluation=teacher_evaluation,
        student_evaluation=student_evaluation,
        baseline_evaluation=baseline_evaluation,
    )


def score_answers(stages: Stages, config: DistillConfig, judge: Artifact | None, generations: Artifact) -> Artifact | None:
    """Return the judge's scores of the teacher's answers; None where the filter that would read them is off."""
    if config.judge is None or judge is None or config.dataset.filters.judge.mode == "off":
        return None
    settings = config.judge.scoring
    asked = stages.run(
        prepare_scoring,
        ask_for_scores,
        "scoring prompts",
        config.placement.judging_prompts,
        settings=settings,
        generations=generations,
    )
    return _judge(stages, config, config.judge, settings, SCALE, judge, asked, "scores")


def compare_models(
    stages: Stages, config: DistillConfig, judge: Artifact | None, prompts: Artifact, evaluations: dict[str, Artifact]
) -> Artifact | None:
    """Return what the judge prefers, the student's answers or those of others; None where nothing is to be compared.

    Args:
        stages: The run's stages.
        config: The run's settings.
        judge: A ``model`` or ``student`` artefact; None: nobody judges.
        prompts: The prompts that all models answered.
        evaluations: Of all models, by ``teacher_evaluation``, ``student_evaluation`` and the others' names.
    """
    if config.judge is None or judge is None:
        return None
    settings = config.judge.pairing
    asked = stages.run(
        prepare_pairing,
        ask_for_preferences,
        "pairing prompts",
        config.placement.judging_prompts,
        settings=settings,
        prompts=prompts,
        teacher_evaluation=evaluations["teacher_evaluation"],
        student_evaluation=evaluations["student_evaluation"],
        baseline_evaluation=evaluations["baseline_evaluation"] if settings.baseline else None,
    )
    return _judge(stages, config, config.judge, settings, SIDES, judge, asked, "preferences") if asked.counts["train"] else None


def _judge(
    stages: Stages,
    config: DistillConfig,
    settings: JudgeSettings,
    about: ScoringSettings,
    verdicts: Verdicts,
    judge: Artifact,
    asked: Artifact,
    label: str,
) -> Artifact:
    answering = held_to_form(settings.answering, about, verdicts)
    return stages.run(
        generate_answers,
        generate,
        label,
        config.placement.judge,
        None if answering.runtime.partition_deployment else answering.runtime.engine.gpus,
        settings=answering,
        prompts=asked,
        teacher=judge,
    )
