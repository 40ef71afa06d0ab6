"""A model's head and a loss in one, some positions at a time: logits of a whole batch are never held.

The head over a vocabulary of a hundred thousand tokens costs more memory than all of a small student's layers. Here it is
applied to answer positions only, chunk by chunk, and each chunk's gradient is taken at once, while its logits are there;
so nothing is computed twice, unlike with checkpointing (the idea of fused linear cross-entropy, Hsu et al. 2024, arXiv
2410.10989, for any loss).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from tasks.core.errors import ModelError

ChunkLoss = Callable[[Tensor, slice], Tensor]
"""Takes the float32 logits [n, vocabulary] of some positions and which of all these are; returns the sum of their losses."""

ANSWER_LOSS, POSITIONS = "answer_loss", "positions"


def add_chunked_head(model: Any, chunk_tokens: int) -> None:
    """Let a model return a loss over some positions: ``model(..., answer_loss=..., positions=...)``.

    The loss is computed inside ``forward``, where DDP and FSDP expect the parameters to be used. Without these arguments the
    forward pass is the model's own.

    Args:
        model: A causal language model, not yet wrapped for distribution.
        chunk_tokens: Positions whose logits are held at a time.

    Raises:
        ModelError: If the model's logits are not its last hidden states times its head.
    """
    _require_plain_head(model)
    own_forward = model.forward

    def forward(*args: Any, answer_loss: ChunkLoss | None = None, positions: Tensor | None = None, **kwargs: Any) -> Any:
        if answer_loss is None or positions is None:
            return own_forward(*args, **kwargs)
        output = model.base_model(*args, **{**kwargs, "use_cache": False})
        head = model.get_output_embeddings()
        weight = head.weight.full_tensor() if isinstance(head.weight, DTensor) else head.weight
        hidden = output.last_hidden_state[positions]
        # A parameter asks for its gradient even where none is recorded, and the chunks would be differentiated for nothing.
        weight = weight if torch.is_grad_enabled() else weight.detach()
        loss = _ChunkedLoss.apply(hidden, weight, answer_loss, chunk_tokens)
        return {"loss": loss, "hidden_states": output.hidden_states, "attentions": output.attentions}

    model.forward = forward


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, loss_of: ChunkLoss, chunk_tokens: int) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        cast_hidden, cast_weight = hidden.to(dtype), weight.to(dtype)
        hidden_gradient = torch.empty_like(cast_hidden) if wants_hidden else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
        total = hidden.new_zeros((), dtype=torch.float32)
        for start in range(0, len(hidden), chunk_tokens):
            chunk = slice(start, min(start + chunk_tokens, len(hidden)))
            logits = (cast_hidden[chunk] @ cast_weight.T).float()
            if not (wants_hidden or wants_weight):
                total += loss_of(logits, chunk)
                continue
            with torch.enable_grad(), torch.autocast(device, enabled=False):
                loss = loss_of(logits.requires_grad_(), chunk)
                (gradient,) = torch.autograd.grad(loss, logits)
            total += loss.detach()
            gradient = gradient.to(dtype)
            if hidden_gradient is not None:
                hidden_gradient[chunk] = gradient @ cast_weight
            if weight_gradient is not None:
                weight_gradient += gradient.T @ cast_hidden[chunk]
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.dtypes = hidden.dtype, weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, Tensor | None, None, None]:
        (scale,) = upstream
        hidden, weight = (
            None if gradient is None else (gradient * scale).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return hidden, weight, None, None


@torch.no_grad()
def _require_plain_head(model: Any) -> None:
    """Follow known logits from the head to the model's output: small ones, as a new model has, show no cap."""
    head = model.get_output_embeddings()
    tokens = torch.arange(4, device=model.device)[None]
    known = torch.linspace(-100, 100, head.weight.shape[0]).to(model.device)
    seen: list[Tensor] = []

    def replace(_module: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        seen.extend((inputs[0], output))
        return known.to(output.dtype).expand_as(output)

    was_training = model.training
    model.eval()
    hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    hook = head.register_forward_hook(replace)
    try:
        returned = model(input_ids=tokens, use_cache=False).logits
    finally:
        hook.remove()
        model.train(was_training)
    product = hidden.to(head.weight.dtype) @ head.weight.T
    pairs = (seen[0], hidden), (seen[1], product), (returned, known.expand_as(returned))
    agree = all(torch.allclose(one.float(), other.float(), rtol=1e-2, atol=1e-2) for one, other in pairs)
    if getattr(head, "bias", None) is not None or not agree:
        raise ModelError(
            f"the logits of {type(model).__name__} are not its last hidden states times its head (they are scaled, capped or "
            "shifted) and the loss would be about others; train a student of another architecture"
        )
