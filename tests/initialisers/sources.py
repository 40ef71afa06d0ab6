"""Prompts and models that the tests of the initialisers share."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from tasks.core.records import Prompt
from tests.models import tiny_model


def prompt(number: int, content: str, reference: str | None = None, chat: bool = True) -> Prompt:
    """Return a training prompt, a message or a plain text."""
    return Prompt(
        id=str(number),
        messages=[{"role": "user", "content": content}] if chat else [],
        text=None if chat else content,
        references=[] if reference is None else [reference],
        task="nli",
        split="train",
        tags=[],
    )


PROMPTS: list[Prompt] = [prompt(number, f"premise: the still is hot. hypothesis {number}: it runs.") for number in range(4)]


def load(folder: Path) -> Any:
    """Return the model in a folder."""
    return AutoModelForCausalLM.from_pretrained(folder)


def model_with_idle_layers(folder: Path, layers: int, idle: set[int]) -> Path:
    """Write a model of which some layers hardly change the hidden state."""
    weights = tiny_model(folder, layers)
    model = load(weights)
    with torch.no_grad():
        for index in idle:
            model.model.layers[index].self_attn.o_proj.weight *= 1e-3
            model.model.layers[index].mlp.down_proj.weight *= 1e-3
    model.save_pretrained(weights)
    return weights


def model_with_idle_neurons(folder: Path, source: Path, busy: list[list[int]]) -> Path:
    """Write a copy of a model in each of whose layers just the neurons named are ever active."""
    model = load(source)
    with torch.no_grad():
        for layer, kept in zip(model.model.layers, busy, strict=True):
            size = layer.mlp.down_proj.in_features
            idle = torch.tensor([neuron for neuron in range(size) if neuron not in kept])
            fused = hasattr(layer.mlp, "gate_up_proj")
            rows = layer.mlp.gate_up_proj.weight[size:] if fused else layer.mlp.up_proj.weight
            rows[idle] = 0
    model.save_pretrained(folder)
    for file in (*source.glob("tokenizer*"), *source.glob("*.jinja")):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder
