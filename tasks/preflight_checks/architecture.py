"""What a model is built of, and whether it can be trained as the settings ask; no weights are needed, and none are loaded."""

import re
from pathlib import Path
from typing import Any, Literal

from tasks.core.errors import ModelError, SettingsError
from tasks.preflight_checks.shape import ModelShape

_SEPARATE, _FUSED = {"q_proj", "k_proj", "v_proj"}, "qkv_proj"
_IN_A_LAYER = re.compile(r"^(?:.*\.\d+\.|(?:model|transformer)\.)")
_EXACT_WHEN_PACKED = {"full_attention", "sliding_attention", "chunked_attention"}
_HEAD_CHANGES = {
    "final_logit_softcapping": None,
    "logit_scale": 1.0,
    "logits_scaling": 1.0,
    "lm_head_multiplier": 1.0,
}
"""Settings of Transformers' models that change the logits, with the value that changes nothing; nor does None."""


def read_shape(folder: Path) -> ModelShape:
    """Return a model's shape, from the model that its configuration makes on the meta device, where it takes no memory.

    Args:
        folder: Has ``config.json``; the weights need not be there.

    Raises:
        ModelError: If Transformers has no causal language model for the configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{folder} has no configuration of a causal language model that Transformers knows ({error}); give another model"
        ) from error
    return _shape_of(model)


def require_trainable(
    shape: ModelShape, method: str, lora_target_modules: tuple[str, ...] | None, packing: bool, relations: bool
) -> None:
    """Refuse a student that cannot be trained as the settings ask.

    Args:
        shape: The student's.
        method: How it is trained.
        lora_target_modules: Layers that get adapters, empty for all linear ones; None: no adapters.
        packing: Whether rows are laid end to end.
        relations: Whether attention relations are matched.

    Raises:
        SettingsError: If it cannot.
    """
    if shape.head_change is not None and method != "on_policy":
        raise SettingsError(
            f"{shape.architecture} does more to its logits than multiply by its head ({shape.head_change}), and the loss "
            "would be about others; take a student of another architecture"
        )
    mixing = sorted(set(shape.layer_kinds) - _EXACT_WHEN_PACKED)
    if packing and mixing:
        raise SettingsError(
            f"training.packing lays rows end to end, and {shape.architecture} has layers of the kinds {mixing}, through which "
            "rows see each other; set packing to false"
        )
    if relations:
        require_projections(shape)
    if lora_target_modules is not None:
        _require_targets(shape, lora_target_modules)


def require_projections(shape: ModelShape) -> None:
    """Refuse a model whose queries, keys and values cannot be told apart.

    Raises:
        SettingsError: If it has neither a projection for each nor one for the three.
    """
    if shape.attention == "other":
        raise SettingsError(
            f"hidden_states.relation_weight compares queries, keys and values, and {shape.architecture} has no projections "
            f"{', '.join(sorted(_SEPARATE))} or {_FUSED} in its layers; set relation_weight to 0"
        )


def require_same_outputs(teacher: ModelShape, student: ModelShape) -> None:
    """Refuse models whose whole distributions cannot be laid side by side.

    Raises:
        SettingsError: If they have different numbers of output tokens, those of padding included.
    """
    if teacher.vocabulary_rows != student.vocabulary_rows:
        raise SettingsError(
            f"on_policy compares whole distributions, and the student has {student.vocabulary_rows} output tokens, the teacher "
            f"{teacher.vocabulary_rows}; take a student with as many, or set student.training.method to topk_kd"
        )


def _require_targets(shape: ModelShape, targets: tuple[str, ...]) -> None:
    if head := [target for target in targets if _names(target, shape.head)]:
        raise SettingsError(
            f"lora.target_modules has {head}, the head of {shape.architecture}, which the loss reads as it is; leave it out"
        )
    missing = [target for target in targets if not any(_names(target, name) for name in shape.linear_modules)]
    if missing:
        raise SettingsError(
            f"lora.target_modules has {missing}, and {shape.architecture} has no linear layers of such names, only "
            f"{sorted(shape.linear_modules)}; name some of these, or leave target_modules empty for all of them"
        )


def _names(target: str, name: str) -> bool:
    """Return whether a LoRA target names a layer, as PEFT compares them: the whole name, or its last parts."""
    return name == target or name.endswith(f".{target}") or target.endswith(f".{name}")


def _shape_of(model: Any) -> ModelShape:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    config, embeddings, head = model.config.get_text_config(), model.get_input_embeddings(), model.get_output_embeddings()
    tied = head.weight is embeddings.weight
    linear: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and module is not head:  # Conv1D is GPT-2's linear map
            short = _IN_A_LAYER.sub("", name)
            linear[short] = linear.get(short, 0) + sum(module.weight.shape)
    heads = getattr(config, "num_attention_heads", 0) or 0
    return ModelShape(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embedding_parameters=embeddings.weight.numel() + (0 if tied else head.weight.numel()),
        tied=tied,
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        intermediate_size=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // max(heads, 1),
        vocabulary_rows=embeddings.weight.shape[0],
        attention=_attention(model),
        layer_kinds=tuple(sorted(set(getattr(config, "layer_types", None) or ()))),
        linear_modules=linear,
        head=next(name for name, module in model.named_modules() if module is head),
        head_change=_head_change(config, head),
    )


def _attention(model: Any) -> Literal["separate", "fused", "other"]:
    """Return how all layers make queries, keys and values; they are looked for where the trainers look."""
    attentions = [getattr(layer, "self_attn", None) for layer in getattr(model.base_model, "layers", [])]
    if attentions and all(hasattr(attention, _FUSED) for attention in attentions):
        return "fused"
    if attentions and all(hasattr(attention, name) for attention in attentions for name in _SEPARATE):
        return "separate"
    return "other"


def _head_change(config: Any, head: Any) -> str | None:
    if getattr(head, "bias", None) is not None:
        return "its head has a bias"
    values = {name: getattr(config, name, None) for name in _HEAD_CHANGES}
    changed = [f"{name} is {value}" for name, value in values.items() if value is not None and value != _HEAD_CHANGES[name]]
    return ", ".join(changed) or None
