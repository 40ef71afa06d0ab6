"""Width pruning: every layer keeps its most active neurons, and a model whose other neurons were idle answers as before."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM

from tasks.core.errors import ModelError, SettingsError
from tasks.core.rendering import render_prompt
from tasks.initialisers.pruned import prune
from tasks.initialisers.settings import PruningSettings
from tasks.initialisers.width import neuron_activity
from tests.families import FAMILIES, family_model
from tests.initialisers.sources import PROMPTS, load, model_with_idle_neurons
from tests.models import tiny_model, tiny_tokenizer

BUSY = [list(range(3, 75, 3)), [0, *range(104, 127)]]  # 24 neurons, the others of each layer are idle


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_answers_the_same_without_its_idle_neurons(tmp_path: Path, family: str) -> None:
    source = model_with_idle_neurons(tmp_path / "large", family_model(family, tmp_path / "family"), BUSY)
    summary = prune(source, tmp_path / "small", PruningSettings(intermediate_size=24), PROMPTS)
    large, small = load(source), load(tmp_path / "small")
    tokens = torch.tensor([render_prompt(AutoTokenizer.from_pretrained(source), PROMPTS[0]["messages"], None)])

    assert summary == {"kept_layers": [0, 1], "intermediate_size": 24}
    assert small.config.intermediate_size == 24
    for layer, before, busy in zip(small.model.layers, large.model.layers, BUSY, strict=True):
        assert torch.equal(layer.mlp.down_proj.weight, before.mlp.down_proj.weight[:, busy])
    torch.testing.assert_close(small(tokens).logits, large(tokens).logits, rtol=1e-4, atol=1e-4)


def test_a_neurons_activity_is_the_mean_of_what_it_gives_to_the_down_projection(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path, layers=1))
    sequences = [[5, 6, 7, 8], [9, 10]]
    given: list[torch.Tensor] = []
    model.model.layers[0].mlp.down_proj.register_forward_pre_hook(lambda _, args: given.append(args[0][0]))
    activity = neuron_activity(model, sequences)
    torch.testing.assert_close(activity[0], torch.cat(given).abs().mean(dim=0))


def test_what_a_neuron_gives_counts_and_not_its_sign(tmp_path: Path) -> None:
    model = load(model_with_idle_neurons(tmp_path / "large", tiny_model(tmp_path / "model", layers=1), [[1, 2]]))
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[1] *= -2
    activity = neuron_activity(model, [[5, 6, 7, 8]])[0]
    assert set(activity.topk(2).indices.tolist()) == {1, 2}


def test_layers_and_neurons_are_judged_in_the_whole_model(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "large", layers=4)
    tokenizer = AutoTokenizer.from_pretrained(source)
    sequences = [render_prompt(tokenizer, row["messages"], None) for row in PROMPTS]
    active = neuron_activity(load(source), sequences)
    summary = prune(source, tmp_path / "small", PruningSettings(keep_layers=2, intermediate_size=16), PROMPTS)
    alone = prune(source, tmp_path / "shallow", PruningSettings(keep_layers=2), PROMPTS)

    assert summary == {**alone, "intermediate_size": 16}
    large, small = load(source), load(tmp_path / "small")
    for layer, index in zip(small.model.layers, summary["kept_layers"], strict=True):
        busiest = sorted(active[index].topk(16).indices.tolist())
        assert torch.equal(layer.mlp.gate_proj.weight, large.model.layers[index].mlp.gate_proj.weight[busiest])


@pytest.mark.parametrize("size", [64, 72])
def test_as_many_neurons_as_there_are_cannot_be_kept(tmp_path: Path, size: int) -> None:
    source = tiny_model(tmp_path / "model")
    with pytest.raises(SettingsError, match=f"intermediate_size is {size} .* layers have only 64 neurons; keep fewer"):
        prune(source, tmp_path / "small", PruningSettings(intermediate_size=size), PROMPTS)


def test_a_model_of_experts_cannot_be_made_narrower(tmp_path: Path) -> None:
    tokenizer: Any = tiny_tokenizer()
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = MixtralConfig(vocab_size=len(tokenizer), num_key_value_heads=2, num_local_experts=2, pad_token_id=0, **sizes)
    MixtralForCausalLM(config).save_pretrained(tmp_path / "experts")
    tokenizer.save_pretrained(tmp_path / "experts")
    with pytest.raises(ModelError, match=r"no plain gate, up and down projections .* leave out pruning\.intermediate_size"):
        prune(tmp_path / "experts", tmp_path / "small", PruningSettings(intermediate_size=16), PROMPTS)
