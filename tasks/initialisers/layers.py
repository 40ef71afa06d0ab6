"""Depth pruning: which layers of a model change the hidden state most, and a model without the others.

Block influence is one minus the cosine similarity of a layer's input and output, averaged over tokens (ShortGPT, Men et al.
2024, arXiv 2403.03853). Layers of low influence are dropped; what remains needs training before it is of any use.
"""

from typing import Any

import torch
from torch import nn

from tasks.core.errors import ModelError, SettingsError

PER_LAYER_LISTS = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""Fields of a configuration that have an item for every layer."""


def decoder_layers(model: Any) -> nn.ModuleList:
    """Return a model's decoder layers.

    Raises:
        ModelError: If they are not where Llama and its relatives have them.
    """
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise ModelError(
            f"a {type(model).__name__} has no layers in model.layers, where Llama, Qwen, Mistral and Phi-3 have them, and cannot "
            "be cut down; give a model of such a kind, or leave out pruning"
        )
    return layers


def check_layers(model: Any, keep: int | None, chosen: tuple[int, ...]) -> None:
    """Refuse to keep layers that are not there, or as many as there are.

    Args:
        model: A decoder.
        keep: Layers to keep, if they are to be counted.
        chosen: Layers to keep, if they are named.

    Raises:
        SettingsError: If so.
    """
    there = len(decoder_layers(model))
    if keep is not None and keep >= there:
        raise SettingsError(f"keep_layers is {keep} and the model has only {there} layers; keep fewer")
    if chosen and (len(chosen) >= there or chosen[-1] >= there):
        raise SettingsError(
            f"layers is {list(chosen)} and the model has only {there} layers, 0 to {there - 1}; name some of these, not all"
        )


def most_influential(influence: list[float], keep: int) -> list[int]:
    """Return the ``keep`` layers of most influence, in ascending order."""
    return sorted(sorted(range(len(influence)), key=lambda layer: influence[layer], reverse=True)[:keep])


def keep_layers(model: Any, kept: list[int]) -> None:
    """Drop all other layers of a model, in place.

    Args:
        model: A decoder with ``model.model.layers``.
        kept: The layers to keep, in ascending order.
    """
    layers = decoder_layers(model)
    model.model.layers = nn.ModuleList([layers[index] for index in kept])
    for position, layer in enumerate(model.model.layers):
        for module in layer.modules():
            attention: Any = module
            if hasattr(attention, "layer_idx"):
                attention.layer_idx = position  # its place in the cache
    for name in PER_LAYER_LISTS:
        values = getattr(model.config, name, None)
        if isinstance(values, list):
            setattr(model.config, name, [values[index] for index in kept])
    model.config.num_hidden_layers = len(kept)


@torch.inference_mode()
def block_influence(model: Any, sequences: list[list[int]]) -> list[float]:
    """Return each layer's block influence, averaged over all tokens.

    Args:
        model: A decoder with ``model.model.layers``, each of which maps hidden states of shape ``[1, tokens, hidden]``.
        sequences: Token ids of the calibration prompts.
    """
    distance = [0.0] * len(decoder_layers(model))

    def record(index: int, before: torch.Tensor, after: Any) -> None:
        after = after[0] if isinstance(after, tuple) else after
        similarity = nn.functional.cosine_similarity(before.float(), after.float(), dim=-1)
        distance[index] += float((1 - similarity).sum())

    hooks = [
        layer.register_forward_hook(
            lambda _, args, kwargs, output, index=index: record(index, args[0] if args else kwargs["hidden_states"], output),
            with_kwargs=True,
        )
        for index, layer in enumerate(decoder_layers(model))
    ]
    for sequence in sequences:
        model(torch.tensor([sequence]), use_cache=False)
    for hook in hooks:
        hook.remove()
    tokens = sum(len(sequence) for sequence in sequences)
    return [total / max(tokens, 1) for total in distance]
