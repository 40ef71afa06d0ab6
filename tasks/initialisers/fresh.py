"""A student with the architecture and the tokenizer of another model, and newly drawn weights."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tasks.core.errors import SettingsError
from tasks.initialisers.layers import PER_LAYER_LISTS
from tasks.initialisers.settings import FreshSettings

_FIXED = {"architectures", "dtype", "model_type", "transformers_version"}
_FOLLOWING: dict[str, Callable[[dict[str, Any]], int]] = {
    "num_key_value_heads": lambda values: values["num_attention_heads"],
    "head_dim": lambda values: values["hidden_size"] // values["num_attention_heads"],
}
_REFUSALS = (ValueError, TypeError, KeyError, RuntimeError, ArithmeticError, StrictDataclassError)


def draw_weights(source: Path, target: Path, settings: FreshSettings) -> dict[str, Any]:
    """Write a model like another one, with new weights in the same number format.

    Args:
        source: Folder of the other model.
        target: Folder to write.
        settings: The seed, and how the new model's configuration differs.

    Returns:
        The new model's sizes, for the record.

    Raises:
        SettingsError: If the configuration has no such field, or describes a model that does not work.
    """
    config = AutoConfig.from_pretrained(source)
    dtype = config.dtype or _stored_dtype(source)
    tokenizer = AutoTokenizer.from_pretrained(source)
    values = config.to_dict()
    _check_names(values, settings.config)
    try:
        config = type(config).from_dict(_change(values, settings.config))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 2, dtype=torch.long), use_cache=False)
    except _REFUSALS as error:
        raise SettingsError(
            f"fresh.config, {settings.config}, makes no working {config.model_type} model: {error}; sizes that depend on "
            "one another, such as hidden_size, num_attention_heads and num_key_value_heads, must fit together"
        ) from error
    if "vocab_size" in settings.config and config.vocab_size < len(tokenizer):
        raise SettingsError(
            f"fresh.config gives a vocab_size of {config.vocab_size} and the tokenizer has {len(tokenizer)} tokens; "
            "leave vocab_size as it is, or give at least as many"
        )
    if (source / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(source)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"layers": config.num_hidden_layers, "hidden_size": config.hidden_size, "parameters": model.num_parameters()}


def _check_names(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Refuse to change what a configuration does not have."""
    known = sorted(
        name
        for name, value in values.items()
        if name not in _FIXED and not name.startswith("_") and isinstance(value, int | float | bool | str | None)
    )
    for name in changes:
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.5)
            remedy = f"did you mean {' or '.join(close)}?" if close else f"those that can be changed are {', '.join(known)}"
            raise SettingsError(f"fresh.config names {name!r}, which the source model's configuration does not have; {remedy}")


def _change(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's values with some changed, and with them those that followed from them before."""
    changed = {name: value for name, value in {**values, **changes}.items() if name != "quantization_config"}
    for name, follow in _FOLLOWING.items():
        if name in values and name not in changes and values[name] == follow(values):
            changed[name] = follow(changed)
    if "num_hidden_layers" in changes:  # the configuration's class fills them in again
        changed = {name: value for name, value in changed.items() if name not in PER_LAYER_LISTS}
    return changed


def _stored_dtype(folder: Path) -> torch.dtype:
    """Return the number format of the weights in a folder whose configuration does not name it."""
    with safe_open(min(folder.glob("*.safetensors")), framework="pt") as weights:
        return next(weights.get_tensor(name).dtype for name in weights.keys())  # noqa: SIM118  (it is no dictionary)
