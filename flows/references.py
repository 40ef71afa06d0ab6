"""Training on the prompts' own references: a teacher's adaptation, and the control that the student is compared with."""

from flows.config import DistillConfig, TeacherSettings
from flows.curation import curate_dataset, load_prompts
from flows.dispatch import Stages
from flows.training import train_student
from tasks.core.artifact import Artifact
from tasks.core.errors import SettingsError
from tasks.dataset import curate
from tasks.prompts import prepare_prompts
from tasks.student import train
from tasks.task_types import TASK_TYPES
from tasks.training.settings import TrainingSettings


def require_references(config: DistillConfig, prompts: Artifact) -> None:
    """Refuse a training on references where too few training prompts have one, before the teacher is paid for.

    Raises:
        SettingsError: If the recipe asks for one all the same.
    """
    least = config.dataset.min_examples or min(TASK_TYPES[name].min_examples for name in config.prompts.task_names)
    wanted = [f"{name}.adaptation" for name, teacher in config.teachers.items() if teacher.adaptation is not None]
    wanted += ["student.control"] if config.student.control else []
    if wanted and prompts.counts["references"] < least:
        raise SettingsError(
            f"{', '.join(wanted)} would train on references, and {prompts.counts['references']} of the {prompts.counts['train']} "
            f"training prompts have one, fewer than the {least} that dataset.min_examples asks for; name their field with "
            "prompts.reference_field, give more, or leave the setting out"
        )


def adapt_teacher(
    stages: Stages, config: DistillConfig, settings: TeacherSettings, model: Artifact, prompts: Artifact
) -> Artifact:
    """Return a teacher as it answers: as it is, or trained on the references."""
    if settings.adaptation is None:
        return model
    return _train(stages, config, "teacher's adaptation", settings.adaptation, model, prompts, config.placement.adaptation)


def train_control(stages: Stages, config: DistillConfig, start: Artifact, prompts: Artifact, dataset: Artifact) -> Artifact:
    """Return the control: what the student's start becomes by the same training on references, and on no more rows.

    Args:
        stages: The run's stages.
        config: The recipe.
        start: The model that the student's training starts from.
        prompts: The prompts.
        dataset: What the student is trained on.
    """
    rows = dataset.counts["train"]
    if prompts.counts["references"] > rows:
        fewer = config.prompts.model_copy(update={"max_references": rows})
        place = config.placement.prompts
        prompts = stages.run(load_prompts, prepare_prompts, "prompts of the control", place, settings=fewer)
    settings = config.student.training.model_copy(update={"method": "sft"})
    return _train(stages, config, "control", settings, start, prompts, config.placement.training)


def _train(
    stages: Stages,
    config: DistillConfig,
    label: str,
    settings: TrainingSettings,
    start: Artifact,
    prompts: Artifact,
    place: str | None,
) -> Artifact:
    references = stages.run(
        curate_dataset,
        curate,
        f"references of the {label}",
        config.placement.curation,
        settings=config.dataset,
        prompts=prompts,
        student=start,
    )
    return stages.run(
        train_student, train, label, place, settings.runtime.processes, settings=settings, dataset=references, start=start
    )
