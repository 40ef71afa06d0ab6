"""How many numbers a model keeps of every token that it has read: keys and values, by its configuration alone."""

from typing import Any

_NOT_KEPT = ("linear_attention", "conv", "mamba", "recurrent")
"""Layers that keep one state of a whole text, however long it is."""

_WINDOW = "sliding_attention"


def kv_values_per_layer(config: Any) -> int:
    """Return the numbers that an attention layer keeps of a token.

    A key and a value for each of its key-value heads (grouped queries: Ainslie et al. 2023, arXiv 2305.13245); with multi-head
    latent attention one compressed vector for all heads, and one key that carries the position (DeepSeek-V2, arXiv 2405.04434,
    section 2.1.2), which is how vLLM stores it.

    Args:
        config: The model's configuration, as Transformers reads it.
    """
    config = config.get_text_config()
    if latent := getattr(config, "kv_lora_rank", None):
        return latent + config.qk_rope_head_dim
    heads = getattr(config, "num_attention_heads", None) or 0
    if not heads:  # no attention at all
        return 0
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * (getattr(config, "num_key_value_heads", None) or heads) * head_dim


def kv_values(config: Any, tokens: int) -> int:
    """Return the numbers that a model keeps of a text.

    A layer that looks back over a window, as the configuration tells, keeps no more than the window. What is kept of a text
    however long it is, such as the state of a Mamba layer, is not counted.

    Args:
        config: The model's configuration, as Transformers reads it.
        tokens: Length of the text.
    """
    text_config = config.get_text_config()
    window = getattr(text_config, "sliding_window", None) or tokens
    kept = (min(tokens, window) if kind == _WINDOW else tokens for kind in _keeping_layers(text_config))
    return kv_values_per_layer(config) * sum(kept)


def _keeping_layers(config: Any) -> list[str | None]:
    """Return the kind of each layer that keeps keys and values; None where the configuration tells none."""
    kinds: list[str | None] = list(
        getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or [None] * config.num_hidden_layers
    )
    shared = getattr(config, "num_kv_shared_layers", None) or 0  # the last ones read what layers below them keep
    return [kind for kind in kinds[: len(kinds) - shared] if kind not in _NOT_KEPT]
