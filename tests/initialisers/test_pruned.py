"""Depth pruning: a smaller model keeps the layers of most influence, in their order, and works."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import SettingsError
from tasks.core.records import Prompt
from tasks.core.rendering import render_prompt
from tasks.initialisers.pruned import block_influence, prune_layers
from tests.models import tiny_model

PROMPTS: list[Prompt] = [
    Prompt(
        id=str(number),
        messages=[{"role": "user", "content": f"premise: the still is hot. hypothesis {number}: it runs."}],
        text=None,
        reference=None,
        task="nli",
        split="train",
        tags=[],
    )
    for number in range(4)
]


def model_with_idle_layers(folder: Path, layers: int, idle: set[int]) -> Path:
    """Write a model of which some layers hardly change the hidden state."""
    weights = tiny_model(folder, layers)
    model = AutoModelForCausalLM.from_pretrained(weights)
    with torch.no_grad():
        for index in idle:
            model.model.layers[index].self_attn.o_proj.weight *= 1e-3
            model.model.layers[index].mlp.down_proj.weight *= 1e-3
    model.save_pretrained(weights)
    return weights


def test_layers_that_do_nothing_are_dropped_and_the_rest_stays_in_order(tmp_path: Path) -> None:
    source = model_with_idle_layers(tmp_path / "large", layers=5, idle={1, 3})
    summary = prune_layers(source, tmp_path / "small", keep=3, prompts=PROMPTS)
    assert summary["kept_layers"] == [0, 2, 4]
    influence = summary["block_influence"]
    assert max(influence[1], influence[3]) < min(influence[0], influence[2], influence[4])
    large, small = (AutoModelForCausalLM.from_pretrained(folder) for folder in (source, tmp_path / "small"))
    for kept, layer in zip([0, 2, 4], small.model.layers, strict=True):
        assert torch.equal(layer.mlp.down_proj.weight, large.model.layers[kept].mlp.down_proj.weight)


def test_a_pruned_model_loads_and_answers_like_the_large_one_whose_idle_layers_it_lost(tmp_path: Path) -> None:
    source = model_with_idle_layers(tmp_path / "large", layers=4, idle={1, 2})
    prune_layers(source, tmp_path / "small", keep=2, prompts=PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "small")
    prompt = torch.tensor([render_prompt(tokenizer, PROMPTS[0]["messages"], None)])
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(folder) for folder in (source, tmp_path / "small")]
    large, small = (model.generate(prompt, max_new_tokens=8, do_sample=False) for model in models)
    assert models[1].config.num_hidden_layers == len(models[1].model.layers) == 2
    assert torch.equal(large, small)


def test_a_layer_that_changes_nothing_has_no_influence(tmp_path: Path) -> None:
    weights = tiny_model(tmp_path, layers=2)
    model = AutoModelForCausalLM.from_pretrained(weights)
    with torch.no_grad():
        model.model.layers[1].self_attn.o_proj.weight.zero_()
        model.model.layers[1].mlp.down_proj.weight.zero_()
    influence = block_influence(model, [[5, 6, 7, 8], [9, 10]])
    assert influence[0] > 0.01
    assert influence[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("keep", [2, 3])
def test_as_many_layers_as_there_are_cannot_be_kept(tmp_path: Path, keep: int) -> None:
    weights = tiny_model(tmp_path / "model", layers=2)
    with pytest.raises(SettingsError, match=f"keep_layers is {keep} and the model has only 2 layers"):
        prune_layers(weights, tmp_path / "small", keep, PROMPTS)
    assert not (tmp_path / "small").exists()
