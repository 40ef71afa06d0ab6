"""Quantised GGUF weights, converted once to safetensors so that they can be trained and served."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import ModelError


def convert_gguf(source: Path, target: Path) -> None:
    """Write a GGUF model as a folder of bfloat16 safetensors, with its tokenizer and chat template.

    Args:
        source: The .gguf file.
        target: The folder to write.

    Raises:
        ModelError: If Transformers cannot read the file.
    """
    try:
        # float32: half the time of bfloat16 here, whose matrices would be cast at every step of the conversion.
        model: Any = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    except (ValueError, OSError, KeyError) as error:
        raise ModelError(f"{source} cannot be read as GGUF weights: {error}") from error
    model.to(dtype=torch.bfloat16)
    model.hf_quantizer = None  # the weights are no longer quantised, and saving is refused while these say so
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
