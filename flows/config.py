"""The single parameter of the flow: every stage's settings in one model, from which the Prefect UI draws its form."""

from typing import Self

from pydantic import Field, model_validator

from tasks.core.section import Section
from tasks.dataset import DatasetSettings
from tasks.evaluation import EvaluationSettings
from tasks.generating.settings import GenerationsSettings, Selection
from tasks.mixture import MAIN_TEACHER, MixtureSettings
from tasks.model import ModelSettings, PruningSettings
from tasks.prompts import PromptsSettings
from tasks.report import ReportSettings
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.settings import EngineRuntime
from tasks.trainers.settings import TrainingSettings


class TeacherSettings(Section):
    """Who answers the prompts: a model, an endpoint, or the student of an earlier run. Give exactly one of them."""

    model: ModelSettings | None = None
    """The teacher's model, run here by vLLM."""

    endpoint: EndpointSettings | None = None
    """An OpenAI-compatible endpoint that runs the teacher."""

    student: str | None = Field(default=None, pattern=r"^[0-9a-f]{16,64}$")
    """Fingerprint, or its first 16 digits, of a student artefact in the same store that teaches this time."""

    engine: EngineRuntime | None = None
    """How this teacher's engine is run, both when it answers and when it is tested; empty: as `generations.runtime.engine` and
    `evaluation.engine` say. No part of what it answers."""

    adaptation: TrainingSettings | None = None
    """Train the teacher's model on the training prompts that have a reference before it answers; empty: take it as it is."""

    def generation(self, settings: GenerationsSettings, only: Selection | None) -> GenerationsSettings:
        """Return the settings of generation with this teacher's engine, and for its share of the prompts if there is one."""
        runtime = settings.runtime.model_copy(update={"engine": self.engine or settings.runtime.engine})
        return settings.model_copy(update={"runtime": runtime, "only": only or settings.only})

    def evaluation(self, settings: EvaluationSettings) -> EvaluationSettings:
        """Return the settings of evaluation with this teacher's engine."""
        return settings if self.engine is None else settings.model_copy(update={"engine": self.engine})

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if sum(given is not None for given in (self.model, self.endpoint, self.student)) != 1:
            raise ValueError("give exactly one of teacher.model, teacher.endpoint and teacher.student")
        if self.model is None and self.adaptation is not None:
            raise ValueError("teacher.adaptation trains teacher.model; an endpoint or an earlier student is taken as it is")
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
    """Who answers them; the report compares the student with this teacher."""

    further_teachers: dict[str, TeacherSettings] = Field(default={})
    """More teachers by name; `mixture` says who answers what."""

    mixture: MixtureSettings | None = None
    """How the answers of several teachers, or several samples of one, become one set; empty: one teacher, every answer."""

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

    @model_validator(mode="after")
    def _teachers_are_known(self) -> Self:
        if self.further_teachers and self.mixture is None:
            raise ValueError("there are further_teachers; give mixture to say who answers what")
        if MAIN_TEACHER in self.further_teachers:
            raise ValueError(f"{MAIN_TEACHER!r} is the name of the main teacher; call the further one something else")
        if self.teacher.endpoint is not None and self.student.model is None:
            raise ValueError("an endpoint has no weights that could be cut down; give student.model")
        routes = {} if self.mixture is None else self.mixture.routes
        if unknown := {name for name in routes.values() if name not in {MAIN_TEACHER, *self.further_teachers}}:
            raise ValueError(f"mixture.routes names {sorted(unknown)}, wanted one of {[MAIN_TEACHER, *self.further_teachers]}")
        return self
