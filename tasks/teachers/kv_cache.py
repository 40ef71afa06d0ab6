"""How many numbers a model keeps of every token that it has read: keys and values, by its configuration alone."""

from typing import Any

_NOT_KEPT = ("linear_attention", "conv", "mamba", "recurrent")
"""Layers that keep one state of a whole text, however long it is."""


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


def kv_layers(config: Any) -> int:
    """Return how many layers keep keys and values of every token; one that looks back over a window keeps them as far as that.

    Args:
        config: The model's configuration, as Transformers reads it.
    """
    config = config.get_text_config()
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None)
    keeping = sum(kind not in _NOT_KEPT for kind in kinds) if kinds else config.num_hidden_layers
    return keeping - (getattr(config, "num_kv_shared_layers", None) or 0)  # these read what layers below them keep
