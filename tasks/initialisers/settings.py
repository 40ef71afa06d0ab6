"""How a student is made out of another model: a part of it, or its architecture with fresh weights."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.core.section import Section


class PruningSettings(Section):
    """How a model is cut down to a smaller one: fewer layers, narrower ones, fewer tokens, or all of these."""

    keep_layers: int | None = Field(default=None, ge=1)
    """Keep this many layers, those that change the hidden state most on the training prompts; empty: all, or those that
    `layers` names."""

    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Keep just these layers, counted from 0, in ascending order; empty: all, or as many as `keep_layers` says."""

    intermediate_size: int | None = Field(default=None, ge=8, multiple_of=8)
    """Keep this many neurons in the feed-forward part of every layer, those most active on the training prompts; a multiple
    of 8, as fast kernels need. Empty: all."""

    trim_vocabulary: bool = False
    """Keep only the tokens that the training prompts and their references use, and those that any text can be spelled with.
    The student then has token ids of its own."""

    @model_validator(mode="after")
    def _some_cut(self) -> Self:
        if self.keep_layers is None and not self.layers and self.intermediate_size is None and not self.trim_vocabulary:
            raise ValueError("nothing is cut; give keep_layers, layers, intermediate_size or trim_vocabulary")
        if self.keep_layers is not None and self.layers:
            raise ValueError("give keep_layers, which chooses the layers, or layers, which names them, not both")
        if list(self.layers) != sorted(set(self.layers)):
            raise ValueError(f"layers is {list(self.layers)}; give each layer once, in ascending order")
        return self


class FreshSettings(Section):
    """A model like another one, of the same architecture and with the same tokenizer, whose weights are drawn anew."""

    seed: int = Field(default=0, ge=0)
    """Seed of the weights: the same seed gives the same ones."""

    config: dict[str, int | float | bool | str] = Field(default={})
    """Fields of the source model's config.json that are to differ, such as hidden_size, num_hidden_layers or
    num_attention_heads; empty: as large as the source model."""
