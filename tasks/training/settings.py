"""Training settings, light enough for the flow's form."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.core.section import Section

Precision = Literal["auto", "float32", "bfloat16"]
Method = Literal["sft", "topk_kd", "sampled_kd", "hidden_states", "on_policy"]

LOGPROB_METHODS: tuple[Method, ...] = ("topk_kd", "sampled_kd")
"""Methods that train on the log-probabilities stored with the teacher's answers."""

TEACHER_METHODS: tuple[Method, ...] = ("hidden_states", "on_policy")
"""Methods that hold the teacher in memory while they train."""


class LoraSettings(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685), merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""

    alpha: int = Field(default=32, ge=1)
    """Scale of the adapters' contribution: alpha / rank."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapters' inputs that is dropped at random."""

    target_modules: tuple[str, ...] = ()
    """Names of the layers that get adapters, e.g. `q_proj`; empty: all linear layers but the head."""

    quantise: bool = False
    """Hold the frozen weights in 4-bit NF4 (QLoRA, Dettmers et al. 2023, arXiv 2305.14314); needs CUDA and bitsandbytes."""


class DistillationSettings(Section):
    """How the student follows the teacher's distributions, beside its text."""

    weight: float = Field(default=0.9, ge=0, le=1)
    """Share of the distillation loss; the rest is cross-entropy with the teacher's own tokens."""

    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    """forward_kl covers all that the teacher may say, reverse_kl seeks its likeliest answers, jsd lies between."""

    jsd_beta: float = Field(default=0.5, gt=0, lt=1)
    """Weight of the teacher in the mixture that both are compared with: near 0 like forward_kl, near 1 like reverse_kl."""

    tail: Literal["bucket", "renormalise"] = "bucket"
    """What becomes of tokens outside the stored candidates: one bucket for all of them, which cannot overstate the divergence;
    or left out, both distributions being renormalised over the candidates, which says nothing of how much lies beyond them."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    """Softens both distributions; other than 1 it needs `tail: renormalise`, for a tail cannot be softened unseen."""

    combine_teachers: bool = False
    """Where several teachers gave the same answer token by token, train once on the weighted mean of their distributions."""

    @model_validator(mode="after")
    def _tail_is_known(self) -> Self:
        if self.temperature != 1 and self.tail == "bucket":
            raise ValueError(
                f"distillation.temperature is {self.temperature} with tail: bucket; the tail's probability at that temperature "
                "is not stored: set temperature to 1, or tail to renormalise"
            )
        return self


class HiddenStateSettings(Section):
    """Which of the teacher's inner states the student imitates."""

    hidden_weight: float = Field(default=1.0, ge=0)
    """Weight of the distance between mapped layers' hidden states, 1 - cosine similarity after a learnt projection."""

    relation_weight: float = Field(default=0.0, ge=0)
    """Weight of MiniLMv2's self-attention relations of queries, keys and values (Wang et al. 2021, arXiv 2012.15828)."""

    attention_weight: float = Field(default=0.0, ge=0)
    """Weight of classic attention transfer: the divergence of attention maps; runs both models with eager attention."""

    relation_heads: int = Field(default=8, ge=1)
    """Heads that queries, keys and values are regrouped into; must divide both models' widths of them."""

    layer_map: tuple[tuple[int, int], ...] = ()
    """Pairs of a student's layer and the teacher's layer it imitates, from 0; empty: spread evenly, up to both last layers."""

    @model_validator(mode="after")
    def _something_is_matched(self) -> Self:
        if not (self.hidden_weight or self.relation_weight or self.attention_weight):
            raise ValueError("hidden_states: all weights are 0, so nothing is matched; use the method sft instead")
        return self


class OnPolicySettings(Section):
    """How the student's own samples are drawn and corrected (Agarwal et al. 2023, arXiv 2306.13649)."""

    beta: float = Field(default=1.0, ge=0, le=1)
    """0: forward divergence, 1: reverse divergence, between: generalised Jensen-Shannon divergence."""

    temperature: float = Field(default=1.0, gt=0, le=2)
    """Temperature of the student's samples and of both distributions."""

    max_new_tokens: int = Field(default=128, ge=1)
    """Longest sample."""


class ValidationSettings(Section):
    """What is watched on the validation split while training; nothing, if that split is empty."""

    every_steps: int | None = Field(default=None, ge=1)
    """Optimiser steps between evaluations; empty: once an epoch."""

    keep: Literal["best", "last"] = "best"
    """Which weights are kept: those of the lowest validation loss, or those of the last step."""

    patience: int | None = Field(default=None, ge=1)
    """End the training after this many evaluations in a row without an improvement; empty: never."""

    min_improvement: float = Field(default=0.0, ge=0)
    """A validation loss must fall by more than this to count as better."""


class TrainingRuntime(Section):
    """How the training is run; no part of the result's identity."""

    device_batch_size: int | None = Field(default=None, ge=1)
    """Rows in one forward pass on one device; smaller saves memory; empty: the whole batch."""

    checkpoint_steps: int = Field(default=50, ge=1)
    """Steps between checkpoints; a killed training loses at most this many."""

    grace_seconds: float = Field(default=60, gt=0)
    """Time to write a checkpoint, and to copy it to the store, after a stop signal."""

    processes: int = Field(default=1, ge=1)
    """Devices on this machine, one process each, started by torchrun when there are several."""

    nodes: int = Field(default=1, ge=1)
    """Machines that train together; the others run the command that the log shows, and must see the same store folder."""

    rendezvous: str | None = Field(default=None, pattern=r"^[\w.-]+:\d{1,5}$")
    """host:port at which several machines meet (torchrun's c10d); the host is one of them."""

    sharding: Literal["none", "full"] = "none"
    """full: FSDP2 divides weights, gradients and optimiser state among the devices; none: each holds all of them."""

    gradient_checkpointing: bool | None = None
    """Recompute activations instead of keeping them, for less memory; empty: yes on CUDA, no on a CPU."""

    attention: Literal["auto", "eager", "sdpa", "flash_attention_2", "flex_attention"] = "auto"
    """Attention kernel; auto: flash_attention_2 on CUDA where it is installed, else sdpa."""

    loss_chunk_tokens: int = Field(default=1024, ge=1)
    """Answer tokens whose logits are held at a time; bounds the head's memory to this many rows of the vocabulary."""

    device_memory_gib: float | None = Field(default=None, gt=0)
    """Memory of the device that trains, for the estimate before the run; empty: of the device seen here."""

    @model_validator(mode="after")
    def _machines_can_meet(self) -> Self:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"runtime.nodes is {self.nodes}; give runtime.rendezvous, the host:port at which the machines meet")
        return self


class TrainingSettings(Section):
    """How a model is trained."""

    method: Method = "sft"
    """sft: on the answers' text. topk_kd: on the teacher's stored likeliest candidates. sampled_kd: on candidates that were drawn
    (`generations.logprobs.draws`), without bias. hidden_states: on the teacher's inner states too. on_policy: on the student's
    own samples, corrected by the teacher."""

    train_on: Literal["answer", "reasoning_and_answer"] = "answer"
    """Whether the student also learns the teacher's reasoning, where it was kept, between `<think>` marks before the answer."""

    turns: Literal["last", "all"] = "last"
    """Which of a conversation's assistant turns count in the loss."""

    epochs: float = Field(default=3, gt=0)
    """Passes over the training rows."""

    learning_rate: float = Field(default=2e-5, gt=0, le=1)
    """Peak learning rate: 1e-5 to 5e-5 for every weight of a large student; LoRA wants about ten times that."""

    batch_size: int = Field(default=16, ge=1)
    """Rows per optimiser step, over all devices."""

    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps during which the learning rate rises."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""

    lora: LoraSettings | None = None
    """Train low-rank adapters and merge them at the end; empty: train every weight."""

    precision: Precision = "auto"
    """Number format of the matrix products; weights stay float32, those that LoRA freezes excepted. auto: bfloat16 where the
    device computes in it."""

    packing: bool = False
    """Lay the rows of a forward pass end to end, without padding; refused where the model's attention would mix them."""

    max_length_tokens: int | None = Field(default=None, ge=2)
    """Longest row, prompt and answer; empty: no limit beside the dataset's own."""

    over_long_rows: Literal["set_aside", "truncate"] = "set_aside"
    """What becomes of longer ones: left out, or cut off at their end; both are counted in the record."""

    max_unusable_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of the rows that may be unusable for the method, e.g. for want of log-probabilities; more end the run."""

    teacher_weights: dict[str, float] = Field(default={})
    """Weight of each teacher's rows in the loss, by the name in the rows' `teacher` column; others weigh 1."""

    distillation: DistillationSettings = DistillationSettings()
    """For topk_kd and sampled_kd."""

    hidden_states: HiddenStateSettings = HiddenStateSettings()
    """For hidden_states."""

    on_policy: OnPolicySettings = OnPolicySettings()
    """For on_policy."""

    validation: ValidationSettings = ValidationSettings()
    """The watch on the validation split."""

    seed: int = Field(default=42, ge=0)
    """Seed of the rows' order and of new weights."""

    runtime: TrainingRuntime = TrainingRuntime()
    """How the training is run; changing it re-uses finished work."""

    @model_validator(mode="after")
    def _draws_are_followed_forward(self) -> Self:
        chosen = self.distillation
        if self.method == "sampled_kd" and (chosen.divergence != "forward_kl" or chosen.temperature != 1):
            raise ValueError("sampled_kd follows draws by the forward divergence at temperature 1; leave both as they are")
        if self.method == "sampled_kd" and chosen.combine_teachers:
            raise ValueError("combine_teachers keeps the likeliest of all candidates, which would bias draws; leave it off")
        return self

    @model_validator(mode="after")
    def _projections_are_kept(self) -> Self:
        if self.method == "hidden_states" and self.lora is not None and self.hidden_states.hidden_weight:
            raise ValueError(
                "hidden_states trains projections beside the model, which adapters' checkpoints do not hold; leave lora empty, "
                "or set hidden_states.hidden_weight to 0"
            )
        return self
