"""The single parameter of the flow: every stage's settings in one model, from which the Prefect UI draws its form."""

from typing import Self

from pydantic import Field, model_validator

from flows.placement import PlacementSettings
from tasks.core.recovery import RecoverySettings
from tasks.core.section import Section
from tasks.dataset import DatasetSettings
from tasks.evaluation import EvaluationSettings
from tasks.generating.settings import GenerationsSettings, Selection
from tasks.initialisers.settings import FreshSettings, PruningSettings
from tasks.judging.settings import PairingSettings, ScoringSettings
from tasks.mixture import MAIN_TEACHER, MixtureSettings
from tasks.model import ModelSettings
from tasks.preflight import PreflightSettings
from tasks.prompts import PromptsSettings
from tasks.report import ReportSettings
from tasks.task_types import TASK_TYPES
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.settings import EngineRuntime, Sampling
from tasks.training.settings import TEACHER_METHODS, TrainingSettings


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
        if self.adaptation is not None and self.adaptation.method != "sft":
            raise ValueError(f"teacher.adaptation.method is {self.adaptation.method}; a teacher learns references, by sft")
        return self


class StudentSettings(Section):
    """Which model learns, and how."""

    model: ModelSettings | None = None
    """The model that learns; untrained, it is also the baseline of the report. Empty: the teacher's model, cut down by
    `pruning` or drawn anew by `fresh`."""

    pruning: PruningSettings | None = None
    """Cut the model down before training; empty: train it as it is."""

    fresh: FreshSettings | None = None
    """Train a model of the same architecture whose weights are drawn anew; empty: train the model's own weights."""

    training: TrainingSettings = TrainingSettings()
    """How it is trained on the teacher's answers."""

    control: bool = False
    """Train the same start on the training prompts' references too, in the same way but by sft, and on at most as many rows; the
    report then tells what the teacher's answers are worth beside labels. Needs prompts with references."""

    @model_validator(mode="after")
    def _smaller_than_the_teacher(self) -> Self:
        if self.pruning is not None and self.fresh is not None:
            raise ValueError("give student.pruning, which keeps some weights, or student.fresh, which keeps none, not both")
        if self.model is None and self.pruning is None and self.fresh is None:
            raise ValueError(
                "give student.model, or student.pruning to start from a part of the teacher, or student.fresh to start anew"
            )
        return self


class JudgeSettings(Section):
    """Who judges answers, and how. Judgements are answers like any others: kept by row, resumed, and paid for once."""

    by: TeacherSettings | None = None
    """The judge: a model, an endpoint, or the student of an earlier run; empty: the teacher, which is partial to itself."""

    scoring: ScoringSettings = ScoringSettings()
    """How the teacher's answers are scored, for the filter `dataset.filters.judge`; while that is off, nothing is."""

    pairing: PairingSettings = PairingSettings()
    """How the student's answers to the test prompts are compared with the teacher's and the baseline's, for the report."""

    answering: GenerationsSettings = GenerationsSettings(sampling=Sampling(max_new_tokens=256, max_prompt_tokens=7936))
    """How the judge is run, and its budget; of several samples, scores are averaged and preferences put to the vote."""

    @model_validator(mode="after")
    def _leaves_the_form_alone(self) -> Self:
        if self.answering.sampling.structured_output is not None:
            raise ValueError("judge.answering.sampling.structured_output: a judgement has a form of its own; leave it out")
        if self.answering.prompting.enable_chain_of_thought or self.answering.prompting.enable_chain_of_density:
            raise ValueError("judge.answering.prompting: what a judge writes is said by judge.scoring.form; leave the chain out")
        if self.answering.only is not None:
            raise ValueError("judge.answering.only: what is judged is said elsewhere, in judge.pairing.tasks; leave it out")
        if self.by is not None and self.by.adaptation is not None:
            raise ValueError("judge.by.adaptation: a judge is taken as it is; leave it out")
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

    judge: JudgeSettings | None = None
    """Who judges the answers of teacher and student; empty: nobody."""

    dataset: DatasetSettings = DatasetSettings()
    """Which answers are trained on."""

    student: StudentSettings
    """Who learns from them."""

    preflight: PreflightSettings = PreflightSettings()
    """What is looked at before anything is paid for."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """How teacher, baseline and student are tested."""

    report: ReportSettings = ReportSettings()
    """What the verdict asks for."""

    placement: PlacementSettings = PlacementSettings()
    """Where each stage runs."""

    recovery: RecoverySettings = RecoverySettings()
    """How often a stage that ended badly is started again, and how long a store that is away is waited for."""

    @property
    def teachers(self) -> dict[str, TeacherSettings]:
        """All teachers by name, the main one first."""
        return {MAIN_TEACHER: self.teacher, **self.further_teachers}

    @property
    def longest_row_tokens(self) -> int:
        """Tokens of the longest row that is trained on, as far as the limits say."""
        limits = (self.student.training.max_length_tokens, self.dataset.filters.length.max_row_tokens)
        return min((limit for limit in limits if limit is not None), default=self.generations.sampling.context_tokens)

    def with_limits(self) -> Self:
        """Return the config with a limit on the length of answers where it sets none: the largest of the prompts' task types."""
        usual = max(TASK_TYPES[name].max_new_tokens for name in self.prompts.task_names)
        generations, evaluation = self.generations, self.evaluation
        least = generations.prompting.least_new_tokens
        return self.model_copy(
            update={
                "generations": generations.model_copy(update={"sampling": _limited(generations.sampling, max(usual, least))}),
                "evaluation": evaluation.model_copy(update={"sampling": _limited(evaluation.sampling, usual)}),
            }
        )

    @model_validator(mode="after")
    def _method_has_what_it_trains_on(self) -> Self:
        method, logprobs, pruning = self.student.training.method, self.generations.logprobs, self.student.pruning
        if method == "topk_kd" and (logprobs is None or not logprobs.top_k or logprobs.draws is not None):
            raise ValueError("topk_kd trains on the teacher's likeliest candidates; set generations.logprobs: {top_k: 16}")
        if method == "sampled_kd" and (logprobs is None or logprobs.draws is None):
            raise ValueError("sampled_kd trains on drawn candidates; set generations.logprobs: {top_k: 64, draws: 12}")
        if method in TEACHER_METHODS and self.teacher.endpoint is not None:
            raise ValueError(f"{method} holds the teacher in memory, and an endpoint has no weights here; give teacher.model")
        if pruning is not None and pruning.trim_vocabulary and method != "sft":
            raise ValueError(f"{method} needs the teacher's token ids, which trim_vocabulary changes; leave it off, or take sft")
        return self

    @model_validator(mode="after")
    def _references_are_kept(self) -> Self:
        if self.student.control and self.prompts.max_references == 0:
            raise ValueError(
                "student.control trains on references, and prompts.max_references is 0; raise it or leave control off"
            )
        return self

    @model_validator(mode="after")
    def _filter_has_its_judge(self) -> Self:
        if self.dataset.filters.judge.mode != "off" and self.judge is None:
            raise ValueError(
                f"dataset.filters.judge.mode is {self.dataset.filters.judge.mode} and nobody judges; give judge, or set it to off"
            )
        return self

    @model_validator(mode="after")
    def _teachers_are_known(self) -> Self:
        if self.further_teachers and self.mixture is None:
            raise ValueError("there are further_teachers; give mixture to say who answers what")
        if MAIN_TEACHER in self.further_teachers:
            raise ValueError(f"{MAIN_TEACHER!r} is the name of the main teacher; call the further one something else")
        if self.teacher.endpoint is not None and self.student.model is None:
            raise ValueError("an endpoint has no weights that could be cut down or drawn anew; give student.model")
        routes = {} if self.mixture is None else self.mixture.routes
        if unknown := {name for name in routes.values() if name not in {MAIN_TEACHER, *self.further_teachers}}:
            raise ValueError(f"mixture.routes names {sorted(unknown)}, wanted one of {[MAIN_TEACHER, *self.further_teachers]}")
        return self


def _limited(sampling: Sampling, limit: int) -> Sampling:
    return sampling if sampling.max_new_tokens is not None else sampling.model_copy(update={"max_new_tokens": limit})
