"""Distances between a student's and a teacher's inner states, and how they are taken out of a forward pass.

Hidden states and attention maps come with the model's output. Queries, keys and values do not: hooks on the layers that make
them keep what these returned last.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tasks.core.errors import ModelError

_SEPARATE, _FUSED = ("q_proj", "k_proj", "v_proj"), "qkv_proj"


def watch_projections(model: Any, layer: int) -> list[Tensor]:
    """Keep a layer's queries, keys and values of every forward pass from now on.

    Args:
        model: A causal language model, not wrapped for distribution.
        layer: Which layer, from 0.

    Returns:
        A list that holds the three of the last forward pass, each [rows, tokens, width].

    Raises:
        ModelError: If the layer's attention has no such projections.
    """
    layers = getattr(model.base_model, "layers", None)
    attention = getattr(layers[layer], "self_attn", None) if layers is not None else None
    names = (_FUSED,) if hasattr(attention, _FUSED) else _SEPARATE
    if not all(hasattr(attention, name) for name in names):
        raise ModelError(
            f"layer {layer} of {type(model).__name__} has neither {_FUSED} nor {', '.join(_SEPARATE)}, whose outputs "
            "relation_weight compares; set hidden_states.relation_weight to 0"
        )
    states: list[Tensor] = []

    def keep(name: str, output: Tensor) -> None:
        if name == _FUSED:
            states[:] = output.split(projection_widths(model.config), dim=-1)
        else:
            if name == _SEPARATE[0]:
                states.clear()
            states.append(output)

    for name in names:
        getattr(attention, name).register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
    return states


def projection_widths(config: Any) -> list[int]:
    """Return the widths of a model's queries, keys and values."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return [config.num_attention_heads * size, *[groups * size] * 2]


def hidden_distance(student: Tensor, teacher: Tensor, share: Tensor) -> Tensor:
    """Return the weighted sum of 1 - cosine similarity over tokens.

    Args:
        student: Projected hidden states, [rows, tokens, width].
        teacher: Hidden states, [rows, tokens, width].
        share: Weight of each token, [rows, tokens]; 0 for padding.
    """
    is_token = share > 0
    similarity = nn.functional.cosine_similarity(student[is_token].float(), teacher[is_token].float(), dim=-1)
    return ((1 - similarity) * share[is_token]).sum()


def relation_distance(student: list[Tensor], teacher: list[Tensor], heads: int, together: Tensor, share: Tensor) -> Tensor:
    """Return the mean divergence between self-attention relations of queries, keys and values, summed over tokens by weight.

    A relation is the softmax of the scaled products of one kind's vectors among a row's tokens, so models of different width can
    be compared: MiniLMv2, Wang et al. 2021, arXiv 2012.15828, equations 3 to 6.

    Args:
        student: Its three states, each [rows, tokens, width].
        teacher: The teacher's.
        heads: Relation heads; they divide both widths.
        together: Which tokens belong to one row, [rows, tokens, tokens].
        share: Weight of each token, [rows, tokens]; 0 for padding.
    """
    pairs = zip(student, teacher, strict=True)
    parts = [
        _divergence(_relation(ours, heads, together), _relation(theirs, heads, together), together, share)
        for ours, theirs in pairs
    ]
    return torch.stack(parts).mean()


def attention_distance(student: Tensor, teacher: Tensor, together: Tensor, share: Tensor) -> Tensor:
    """Return the divergence between attention maps, summed over tokens by weight; heads are averaged where their numbers differ.

    Args:
        student: Probabilities, [rows, heads, tokens, tokens].
        teacher: The teacher's.
        together: Which tokens belong to one row, [rows, tokens, tokens].
        share: Weight of each token, [rows, tokens]; 0 for padding.
    """
    if student.shape[1] != teacher.shape[1]:
        student, teacher = student.mean(1, keepdim=True), teacher.mean(1, keepdim=True)
    tiny = torch.finfo(torch.float32).tiny
    return _divergence(student.float().clamp(min=tiny).log(), teacher.float().clamp(min=tiny).log(), together, share)


def _relation(states: Tensor, heads: int, together: Tensor) -> Tensor:
    grouped = states.float().unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = grouped @ grouped.transpose(-1, -2) / grouped.shape[-1] ** 0.5
    return scores.masked_fill(~together[:, None], torch.finfo(scores.dtype).min).log_softmax(-1)


def _divergence(log_q: Tensor, log_p: Tensor, together: Tensor, share: Tensor) -> Tensor:
    """Return KL(p || q) of [rows, heads, tokens, tokens], averaged over heads and summed over tokens by their weights."""
    per_token = (log_p.exp() * (log_p - log_q)).masked_fill(~together[:, None], 0).sum(-1).mean(1)
    return (per_token * share).sum()
