"""A student that is a part of a larger model: loaded once, cut as asked for, written as a plain folder of weights."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import ModelError
from tasks.core.records import Prompt
from tasks.core.rendering import render_prompt
from tasks.initialisers.embeddings import keep_tokens, named_tokens
from tasks.initialisers.layers import block_influence, check_layers, decoder_layers, keep_layers, most_influential
from tasks.initialisers.settings import PruningSettings
from tasks.initialisers.vocabulary import tokenizer_definition, trim_definition, used_tokens
from tasks.initialisers.width import check_width, keep_neurons, neuron_activity

_CALIBRATION_PROMPTS = 128


def prune(source: Path, target: Path, settings: PruningSettings, prompts: list[Prompt]) -> dict[str, Any]:
    """Write a part of a model.

    Layers and neurons are judged in the whole model, before anything is cut, as Minitron does (Muralidharan et al. 2024, arXiv
    2407.14679).

    Args:
        source: Folder of the larger model.
        target: Folder to write.
        settings: What is cut.
        prompts: The training prompts. Layers and neurons are judged by the first of them, a vocabulary is trimmed to all.

    Returns:
        What was kept, for the record: ``kept_layers`` in any case; ``block_influence`` of every layer, ``intermediate_size``
        and ``vocabulary`` (tokens before and after) as far as they were asked for.

    Raises:
        SettingsError: If more is to be kept than there is, or the tokenizer cannot be trimmed.
        ModelError: If the model is not of a kind that can be cut.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype="auto").eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    check_layers(model, settings.keep_layers, settings.layers)
    if settings.intermediate_size is not None:
        check_width(model, settings.intermediate_size)
    definition = tokenizer_definition(tokenizer) if settings.trim_vocabulary else None
    sequences = [render_prompt(tokenizer, row["messages"], row["text"]) for row in prompts[:_CALIBRATION_PROMPTS]]

    kept = list(settings.layers or range(len(decoder_layers(model))))
    summary: dict[str, Any] = {}
    if settings.keep_layers is not None:
        influence = block_influence(model, sequences)
        kept = most_influential(influence, settings.keep_layers)
        summary["block_influence"] = [round(value, 4) for value in influence]
    activity = [] if settings.intermediate_size is None else neuron_activity(model, sequences)
    summary["kept_layers"] = kept
    if len(kept) < len(decoder_layers(model)):
        keep_layers(model, kept)
    if settings.intermediate_size is not None:
        keep_neurons(model, [activity[index] for index in kept], settings.intermediate_size)
        summary["intermediate_size"] = settings.intermediate_size
    if definition is not None:
        trimmed, ids = trim_definition(definition, used_tokens(tokenizer, prompts) | named_tokens(model))
        keep_tokens(model, ids)
        summary["vocabulary"] = {"before": len(tokenizer), "after": len(ids)}
        tokenizer.save_pretrained(target)
        (target / "tokenizer.json").write_text(json.dumps(trimmed, ensure_ascii=False), encoding="utf-8")
        _check_tokenizer(target, ids, sequences, prompts)
    else:
        tokenizer.save_pretrained(target)
    _check_described(model)
    model.save_pretrained(target)
    return summary


def _check_tokenizer(folder: Path, ids: list[int], sequences: list[list[int]], prompts: list[Prompt]) -> None:
    """Refuse a trimmed tokenizer that Transformers does not read as it was meant: some kinds are built anew at every start."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    again = [render_prompt(tokenizer, row["messages"], row["text"]) for row in prompts[: len(sequences)]]
    if len(tokenizer) != len(ids) or [[ids[new] for new in sequence] for sequence in again] != sequences:
        raise ModelError(
            f"the model's tokenizer, a {type(tokenizer).__name__}, does not work the same once it is trimmed; "
            "leave out pruning.trim_vocabulary"
        )


def _check_described(model: Any) -> None:
    """Refuse a cut model whose weights are not those that its configuration describes: it could not be loaded again."""
    with torch.device("meta"):
        described = AutoModelForCausalLM.from_config(model.config)
    wanted = {name: tensor.shape for name, tensor in described.state_dict().items()}
    found = {name: tensor.shape for name, tensor in model.state_dict().items()}
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        raise ModelError(
            f"a {type(model).__name__} that is cut in this way cannot be loaded: its configuration has other sizes for "
            f"{len(differing)} weights, such as {differing[0]}; cut it in another way, or give a model whose layers are all alike"
        )
