"""The single parameter of the flow: every stage's settings in one model, from which the Prefect UI draws its form."""

from typing import Self

from pydantic import Field, model_validator

from tasks.core.section import Section
from tasks.dataset import DatasetSettings
from tasks.evaluation import EvaluationSettings
from tasks.generations import GenerationsSettings
from tasks.model import ModelSettings, PruningSettings
from tasks.prompts import PromptsSettings
from tasks.report import ReportSettings
from tasks.trainers.settings import TrainingSettings


class TeacherSettings(Section):
    """Who answers the prompts: a model, or the student of an earlier run."""

    model: ModelSettings | None = None
    """The teacher's model; empty when an earlier student teaches."""

    student: str | None = Field(default=None, pattern=r"^[0-9a-f]{16,64}$")
    """Fingerprint, or its first 16 digits, of a student artefact in the same store that teaches this time."""

    adaptation: TrainingSettings | None = None
    """Train the teacher's model on the training prompts that have a reference before it answers; empty: take it as it is."""

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if (self.model is None) == (self.student is None):
            raise ValueError("give either teacher.model or teacher.student, and not both")
        if self.student is not None and self.adaptation is not None:
            raise ValueError("teacher.adaptation trains teacher.model; an earlier student is taken as it is")
        return self


class StudentSettings(Section):
    """Which model learns, and how."""

    model: ModelSettings | None = None
    """The model that learns; untrained, it is also the baseline of the report. Empty: the teacher, cut down by `pruning`."""

    pruning: PruningSettings | None = None
    """Cut the model down before training; empty: train it as it is."""

    training: TrainingSettings = TrainingSettings()
    """How it is trained on the teacher's answers."""

    @model_validator(mode="after")
    def _smaller_than_the_teacher(self) -> Self:
        if self.model is None and self.pruning is None:
            raise ValueError("give student.model, or student.pruning to start from a part of the teacher")
        return self


class DistillConfig(Section):
    """One distillation: from the user's prompts to the report."""

    store: str = "artifacts"
    """Where artefacts are kept: a local folder or s3://bucket/prefix."""

    prompts: PromptsSettings
    """The user's prompts."""

    teacher: TeacherSettings
    """Who answers them."""

    generations: GenerationsSettings = GenerationsSettings()
    """How the teacher answers."""

    dataset: DatasetSettings = DatasetSettings()
    """Which answers are trained on."""

    student: StudentSettings
    """Who learns from them."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """How teacher, baseline and student are tested."""

    report: ReportSettings = ReportSettings()
    """What the verdict asks for."""
