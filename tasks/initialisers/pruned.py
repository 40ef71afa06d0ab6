"""Depth pruning: a student that keeps the layers of a larger model which change the hidden state most.

Block influence is one minus the cosine similarity of a layer's input and output, averaged over tokens (ShortGPT, Men et al.
2024, arXiv 2403.03853). Layers of low influence are dropped; what remains needs training before it is of any use.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import SettingsError
from tasks.core.records import Prompt
from tasks.core.rendering import render_prompt

_PER_LAYER_LISTS = ("layer_types", "no_rope_layers")


def prune_layers(source: Path, target: Path, keep: int, prompts: list[Prompt]) -> dict[str, Any]:
    """Write a model with only its most influential layers.

    Args:
        source: Folder of the larger model.
        target: Folder to write; may be the same one.
        keep: Layers to keep.
        prompts: Prompts on which influence is measured.

    Returns:
        The kept layers, in order, and every layer's influence, for the record.

    Raises:
        SettingsError: If the model has no more than ``keep`` layers.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype="auto").eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    layers = model.model.layers
    if keep >= len(layers):
        raise SettingsError(f"keep_layers is {keep} and the model has only {len(layers)} layers; keep fewer")
    influence = block_influence(model, [render_prompt(tokenizer, row["messages"], row["text"]) for row in prompts])
    kept = sorted(sorted(range(len(layers)), key=lambda layer: influence[layer], reverse=True)[:keep])
    model.model.layers = nn.ModuleList([layers[index] for index in kept])
    for position, index in enumerate(kept):
        layers[index].self_attn.layer_idx = position
    model.config.num_hidden_layers = keep
    for name in _PER_LAYER_LISTS:
        values = getattr(model.config, name, None)
        if isinstance(values, list):
            setattr(model.config, name, [values[index] for index in kept])
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"kept_layers": kept, "block_influence": [round(value, 4) for value in influence]}


@torch.inference_mode()
def block_influence(model: Any, sequences: list[list[int]]) -> list[float]:
    """Return each layer's block influence, averaged over all tokens.

    Args:
        model: A decoder with ``model.model.layers``, each of which maps hidden states of shape ``[1, tokens, hidden]``.
        sequences: Token ids of the calibration prompts.
    """
    distance = [0.0] * len(model.model.layers)

    def record(index: int, before: torch.Tensor, after: Any) -> None:
        after = after[0] if isinstance(after, tuple) else after
        similarity = nn.functional.cosine_similarity(before.float(), after.float(), dim=-1)
        distance[index] += float((1 - similarity).sum())

    hooks = [
        layer.register_forward_hook(
            lambda _, args, kwargs, output, index=index: record(index, args[0] if args else kwargs["hidden_states"], output),
            with_kwargs=True,
        )
        for index, layer in enumerate(model.model.layers)
    ]
    for sequence in sequences:
        model(torch.tensor([sequence]), use_cache=False)
    for hook in hooks:
        hook.remove()
    tokens = sum(len(sequence) for sequence in sequences)
    return [total / max(tokens, 1) for total in distance]
