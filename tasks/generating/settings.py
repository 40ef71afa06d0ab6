"""How a teacher answers the prompts; light, so that the flow's form can show it."""

from typing import Any, Self

from pydantic import Field, model_validator

from tasks.core.recovery import RecoverySettings
from tasks.core.section import Section
from tasks.generating.prompting import PromptingSettings
from tasks.teachers.endpoint.settings import EndpointRuntime
from tasks.teachers.settings import EngineRuntime, LogprobSettings, Sampling


class Selection(Section):
    """Which prompts a teacher answers, by their task type or one of their tags."""

    field: str = "task"
    """`task`, or the name of a tag that `prompts.tag_fields` keeps."""

    values: tuple[str, ...]
    """Prompts whose field has one of these values."""

    others: bool = False
    """The other prompts instead."""


class GenerationsRuntime(Section):
    """How the teacher is run; no part of the result's identity."""

    engine: EngineRuntime = EngineRuntime()
    """The teacher's engine, if it runs here."""

    endpoint: EndpointRuntime = EndpointRuntime()
    """How the teacher is asked, if it is an endpoint."""

    shard_rows: int = Field(default=256, ge=1)
    """Finished rows that are committed together; a killed run loses at most this many."""

    shard_seconds: float = Field(default=30, gt=0)
    """Finished rows are committed at least this often."""

    engine_restarts: int = Field(default=3, ge=0)
    """How often an engine that died is started again without a finished row in between."""

    partitions: int = Field(default=1, ge=1, le=1024)
    """Parts that the prompts are divided into, each with an engine of its own; one engine of a dense model per GPU group."""

    partitions_at_once: int = Field(default=1, ge=1, le=64)
    """Partitions that run on this machine at the same time; each takes its engine's share of the GPUs."""

    partition_deployment: str | None = None
    """Deployment that runs each partition as a flow run on a worker of its pool, `generation-partition/teacher-gpu` of those
    that are shipped; empty: on the machine that this stage runs on."""

    recovery: RecoverySettings = RecoverySettings()
    """How often a partition's flow run that ended badly is started again."""

    price_per_gpu_hour: float | None = Field(default=None, ge=0)
    """What a GPU costs, for the summary; empty: no cost is shown."""

    shown_samples: int = Field(default=3, ge=0, le=20)
    """Answers shown in the run's summary, shortened, with addresses, numbers and keys blacked out."""


class GenerationsSettings(Section):
    """How the teacher answers."""

    sampling: Sampling = Sampling()
    """What decides an answer."""

    logprobs: LogprobSettings | None = None
    """The teacher's log-probabilities to keep with every answer; empty: text only."""

    prompting: PromptingSettings = PromptingSettings()
    """What the teacher is told beside the prompt, and how its answer is read."""

    samples_per_prompt: int = Field(default=1, ge=1, le=64)
    """Answers per prompt; more than one needs a temperature above 0."""

    only: Selection | None = None
    """Answer only some of the prompts; empty: all of them."""

    runtime: GenerationsRuntime = GenerationsRuntime()
    """How the teacher is run; changing it re-uses finished work."""

    @model_validator(mode="after")
    def _batches_are_whole(self) -> Self:
        if self.runtime.partitions > 1 and self.runtime.endpoint.batch:
            raise ValueError("a Batch API takes all rows at once; set generations.runtime.partitions to 1")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples_per_prompt > 1 and self.sampling.temperature == 0:
            raise ValueError("generations.samples_per_prompt is more than 1 at temperature 0, where all samples are the same")
        told = self.prompting.enable_chain_of_thought or self.prompting.enable_chain_of_density
        if told and self.sampling.structured_output is not None:
            raise ValueError("sampling.structured_output leaves no room for a chain of thought or density; drop one of the two")
        return self

    @property
    def logprobs_width(self) -> int | None:
        """Candidates stored at every token; None without log-probabilities."""
        return None if self.logprobs is None else self.logprobs.width

    def row_identity(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """Return what decides a row beside its teacher and its prompt's tokens: the ledger's namespace is made of it.

        Args:
            labels: The closed set, for structured output that must be one of it.
        """
        structured = self.sampling.structured_output
        return {
            "sampling": self.sampling.row_identity(),
            "logprobs": None if self.logprobs is None else self.logprobs.identity(),
            "labels": list(labels) if structured is not None and structured.labels else [],
            "reading": {name: getattr(self.prompting, name) for name in ("reasoning_parser", "chat_template_kwargs")},
        }
