"""How answers are sampled, and how an engine is run; light, so that the flow's form can show them."""

from typing import Literal

from pydantic import Field

from tasks.core.section import Section

Dtype = Literal["auto", "bfloat16", "float16", "float32"]


class Sampling(Section):
    """What decides an answer, given a model and a prompt."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 takes the likeliest token every time; higher is more varied."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample among the likeliest tokens that together have this probability."""

    max_new_tokens: int = Field(default=512, ge=1)
    """Longer answers are cut off, marked `length`, and not trained on."""

    max_prompt_tokens: int = Field(default=1536, ge=1)
    """Prompts that are longer once rendered are set aside."""

    dtype: Dtype = "auto"
    """Number format of weights and activations; auto: as the weights are stored."""

    @property
    def context_tokens(self) -> int:
        """Tokens that the engine must hold for one sequence."""
        return self.max_prompt_tokens + self.max_new_tokens


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

    enforce_eager: bool | None = None
    """Run without compiled graphs; empty: yes on a CPU, no on CUDA."""
