"""How answers are sampled, and how an engine is run; light, so that the flow's form can show them."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.core.errors import SettingsError
from tasks.core.section import Section

Dtype = Literal["auto", "bfloat16", "float16", "float32"]


class LogprobSettings(Section):
    """Which of the teacher's log-probabilities are kept with every answer."""

    top_k: int = Field(default=16, ge=0, le=256)
    """Candidates kept at every token, beside the token that was sampled; 0: only the sampled one."""

    draws: int | None = Field(default=None, ge=1, le=256)
    """Keep this many ids drawn from the teacher's distribution, with importance weights, instead of the `top_k` themselves:
    a sparse target whose expectation is the whole distribution. `top_k` is then how many the engine reports."""

    processed: bool = False
    """Keep them after temperature and truncation of the sampling, instead of the model's own."""

    float32_head: bool = True
    """Compute the logits of a half-precision model in float32; at bfloat16 their grid is as coarse as 0.125."""

    @property
    def width(self) -> int:
        """Candidates that are stored at every token."""
        return self.top_k if self.draws is None else min(self.draws, self.top_k) + 1

    @model_validator(mode="after")
    def _drawn_from_something(self) -> Self:
        if self.draws is not None and self.top_k < 1:
            raise ValueError("logprobs.draws are drawn from the top_k candidates; give a top_k of 1 or more")
        if self.draws is not None and self.processed:
            raise ValueError("logprobs.draws are drawn from the model's own distribution; leave logprobs.processed off")
        return self


class StructuredOutput(Section):
    """What form an answer must have; give exactly one of these."""

    labels: bool = False
    """One of the prompts' labels, for closed-set tasks."""

    choice: tuple[str, ...] = ()
    """One of these texts."""

    regex: str | None = None
    """A text that this regular expression matches."""

    json_schema: dict[str, Any] | None = None
    """A JSON value of this schema."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [self.labels, bool(self.choice), self.regex is not None, self.json_schema is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of labels, choice, regex and json_schema")
        return self


class RepetitionSettings(Section):
    """When an answer that goes round in circles is ended; such rows are marked `repetition`."""

    max_pattern_tokens: int = Field(default=32, ge=1)
    """The longest pattern that is looked for."""

    min_count: int = Field(default=8, ge=2)
    """Times that a pattern must follow itself."""


class Sampling(Section):
    """What decides an answer, given a model and a prompt."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 takes the likeliest token every time; higher is more varied."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample among the likeliest tokens that together have this probability."""

    top_k: int | None = Field(default=None, ge=1)
    """Sample among this many likeliest tokens; empty: all."""

    min_p: float = Field(default=0.0, ge=0, le=1)
    """Sample among tokens that have at least this share of the likeliest one's probability."""

    stop: tuple[str, ...] = ()
    """Texts that end an answer; they are not part of it."""

    structured_output: StructuredOutput | None = None
    """The form that every answer must have; empty: free text."""

    repetition: RepetitionSettings | None = None
    """End answers that repeat themselves; empty: let them run."""

    max_new_tokens: int | None = Field(default=None, ge=1)
    """Longer answers are cut off, marked `length`, and not trained on; empty: as long as is usual for the prompts' task, and
    longer where the teacher is told to reason first."""

    max_prompt_tokens: int = Field(default=1536, ge=1)
    """Prompts that are longer once rendered are set aside, or truncated."""

    dtype: Dtype = "auto"
    """Number format of weights and activations; auto: as the weights are stored, but float32 on a CPU without instructions for
    bfloat16, which would be several times slower in it."""

    @property
    def new_tokens(self) -> int:
        """The limit in force: `max_new_tokens`, or 512 where neither a recipe nor its task has set one."""
        return self.max_new_tokens or 512

    @property
    def context_tokens(self) -> int:
        """Tokens that the engine must hold for one sequence."""
        return self.max_prompt_tokens + self.new_tokens

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Return the sampling with the labels spelled out, where answers must be one of them.

        Args:
            labels: The closed set of the prompts.

        Raises:
            SettingsError: If there is none.
        """
        if self.structured_output is None or not self.structured_output.labels:
            return self
        if not labels:
            raise SettingsError(
                "sampling.structured_output.labels is on, and the prompts have no labels; give prompts.labels, or references of "
                "a closed kind of task, or leave it off"
            )
        return self.model_copy(update={"structured_output": StructuredOutput(choice=tuple(labels))})

    def row_identity(self) -> dict[str, Any]:
        """Return what decides a finished answer: everything but the limits, which only decide whether it could finish."""
        limits = {"max_new_tokens", "max_prompt_tokens"}
        return {name: value for name, value in self.identity().items() if name not in limits}


class EngineRuntime(Section):
    """How the engine is run; no part of the result's identity."""

    max_num_seqs: int | None = Field(default=None, ge=1)
    """Sequences in one batch; empty: 32 on a CPU, vLLM's own choice on CUDA."""

    kv_cache_bytes: int | None = Field(default=None, ge=1 << 20)
    """Memory for attention keys and values; empty: enough for a full batch on a CPU, `gpu_memory_utilization` on CUDA."""

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of each GPU's memory that the engine may take; CUDA only."""

    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share every layer of the model."""

    pipeline_parallel_size: int = Field(default=1, ge=1)
    """Groups of GPUs that the layers are divided among."""

    expert_parallel: bool = False
    """Divide the experts of a mixture-of-experts model among the GPUs, instead of dividing each expert."""

    nodes: int = Field(default=1, ge=1)
    """Machines that the engine spans; the others run `vllm serve MODEL --headless` with their rank and the same sizes."""

    master_address: str = "127.0.0.1"
    """Address of this machine as the other nodes see it."""

    enforce_eager: bool | None = None
    """Run without compiled graphs; empty: yes on a CPU, no on CUDA."""

    load_timeout_seconds: int = Field(default=3600, ge=60)
    """How long loading may take; the largest models take half an hour from a network disk."""

    @property
    def gpus(self) -> int:
        """GPUs that one engine takes, over all nodes."""
        return self.tensor_parallel_size * self.pipeline_parallel_size
