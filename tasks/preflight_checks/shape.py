"""A model's size and build in numbers, known from its configuration alone; light, so that a record can be read without torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ModelShape(BaseModel):
    """How large a model is and what it is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    """Name of the class in Transformers."""
    parameters: int
    """Weights in all; tied ones count once."""
    embedding_parameters: int
    """Of these, the weights of the input embeddings and of an untied head."""
    tied: bool
    """Whether the head is the input embeddings' matrix."""
    layers: int
    hidden_size: int
    intermediate_size: int
    """Width of the feed-forward layers."""
    heads: int
    """Attention heads of the queries; 0 where there is no attention."""
    kv_heads: int
    """Attention heads of keys and values."""
    head_dim: int
    vocabulary_rows: int
    """Rows of the embeddings, those of padding included."""
    attention: Literal["separate", "fused", "other"]
    """Queries, keys and values each have a projection, share one as in Phi-3, or are made in another way."""
    layer_kinds: tuple[str, ...] = ()
    """What kinds of layers there are, where the configuration tells."""
    linear_modules: dict[str, int] = {}
    """Name inside its layer of every linear map but the head, and the inputs and outputs of all maps of that name together."""
    head: str = "lm_head"
    """Name of the head."""
    head_change: str | None = None
    """What the model does to the logits beside multiplying by the head; None for nothing."""

    def with_layers(self, count: int) -> "ModelShape":
        """Return the shape of this model cut down to a number of layers."""
        in_layers = self.parameters - self.embedding_parameters
        linear = {name: features * count // self.layers for name, features in self.linear_modules.items()}
        parameters = self.embedding_parameters + in_layers * count // self.layers
        return self.model_copy(update={"layers": count, "parameters": parameters, "linear_modules": linear})
