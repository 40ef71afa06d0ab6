"""Width pruning: the feed-forward part of every layer keeps the neurons that are most active.

A neuron's importance is its mean absolute activation on a few prompts (Minitron, Muralidharan et al. 2024, arXiv 2407.14679).
A neuron is a row of the gate and of the up projection, and a column of the down projection.
"""

from functools import partial
from typing import Any

import torch
from torch import nn

from tasks.core.errors import ModelError, SettingsError
from tasks.initialisers.layers import decoder_layers

_FUSED = "gate_up_proj"


def check_width(model: Any, size: int) -> None:
    """Refuse to cut what cannot be cut.

    Args:
        model: A decoder.
        size: Neurons to keep in each layer.

    Raises:
        ModelError: If a layer has no feed-forward part of gate, up and down projections.
        SettingsError: If a layer has no more neurons than that.
    """
    smallest = min(_down_projection(layer).in_features for layer in decoder_layers(model))
    if size >= smallest:
        raise SettingsError(f"intermediate_size is {size} and the model's layers have only {smallest} neurons; keep fewer")


@torch.inference_mode()
def neuron_activity(model: Any, sequences: list[list[int]]) -> list[torch.Tensor]:
    """Return every neuron's mean absolute activation over all tokens.

    Args:
        model: A decoder whose layers have gate, up and down projections.
        sequences: Token ids of the calibration prompts.

    Returns:
        For each layer a float32 tensor of shape ``[neurons]``.
    """
    projections = [_down_projection(layer) for layer in decoder_layers(model)]
    totals = [torch.zeros(projection.in_features) for projection in projections]

    def record(total: torch.Tensor, _: nn.Module, activations: tuple[torch.Tensor, ...]) -> None:
        total += activations[0].float().abs().flatten(end_dim=-2).sum(dim=0)

    hooks = [
        projection.register_forward_pre_hook(partial(record, total))
        for projection, total in zip(projections, totals, strict=True)
    ]
    for sequence in sequences:
        model(torch.tensor([sequence]), use_cache=False)
    for hook in hooks:
        hook.remove()
    tokens = sum(len(sequence) for sequence in sequences)
    return [total / max(tokens, 1) for total in totals]


@torch.no_grad()
def keep_neurons(model: Any, activity: list[torch.Tensor], size: int) -> None:
    """Drop all but the most active neurons of every layer, in place; those that are kept stay in their order.

    Args:
        model: A decoder whose layers have gate, up and down projections, separate or fused.
        activity: For each of its layers the neurons' activity, ``[neurons]``.
        size: Neurons to keep in each layer.
    """
    for layer, active in zip(decoder_layers(model), activity, strict=True):
        kept = active.topk(size).indices.sort().values
        mlp: Any = layer.mlp
        if hasattr(mlp, _FUSED):  # the rows of the gate come first, then those of the up projection
            _keep_rows(mlp.gate_up_proj, torch.cat([kept, kept + len(active)]))
        else:
            _keep_rows(mlp.gate_proj, kept)
            _keep_rows(mlp.up_proj, kept)
        mlp.down_proj.weight = nn.Parameter(mlp.down_proj.weight[:, kept].contiguous())
        mlp.down_proj.in_features = size
        if hasattr(mlp, "intermediate_size"):
            mlp.intermediate_size = size
    model.config.intermediate_size = size


def _down_projection(layer: Any) -> nn.Linear:
    mlp: Any = getattr(layer, "mlp", None)
    incoming = (_FUSED,) if hasattr(mlp, _FUSED) else ("gate_proj", "up_proj")
    if not all(isinstance(getattr(mlp, name, None), nn.Linear) for name in (*incoming, "down_proj")):
        raise ModelError(
            f"a {type(layer).__name__} has no plain gate, up and down projections in mlp, as Llama, Qwen, Mistral and Phi-3 have "
            "them: experts and quantised weights cannot be made narrower; leave out pruning.intermediate_size"
        )
    return mlp.down_proj


def _keep_rows(projection: nn.Linear, rows: torch.Tensor) -> None:
    projection.weight = nn.Parameter(projection.weight[rows])
    projection.out_features = len(rows)
    if projection.bias is not None:
        projection.bias = nn.Parameter(projection.bias[rows])
