"""Depth pruning: a smaller model keeps the layers of most influence, or those named, in their order, and works."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

from tasks.core.errors import ModelError, SettingsError
from tasks.core.rendering import render_prompt
from tasks.initialisers.layers import block_influence
from tasks.initialisers.pruned import prune
from tasks.initialisers.settings import PruningSettings
from tests.families import family_model
from tests.initialisers.sources import PROMPTS, load, model_with_idle_layers
from tests.models import tiny_model, tiny_tokenizer


def test_layers_that_do_nothing_are_dropped_and_the_rest_stays_in_order(tmp_path: Path) -> None:
    source = model_with_idle_layers(tmp_path / "large", layers=5, idle={1, 3})
    summary = prune(source, tmp_path / "small", PruningSettings(keep_layers=3), PROMPTS)
    assert summary["kept_layers"] == [0, 2, 4]
    influence = summary["block_influence"]
    assert max(influence[1], influence[3]) < min(influence[0], influence[2], influence[4])
    large, small = load(source), load(tmp_path / "small")
    for kept, layer in zip([0, 2, 4], small.model.layers, strict=True):
        assert torch.equal(layer.mlp.down_proj.weight, large.model.layers[kept].mlp.down_proj.weight)


def test_a_pruned_model_loads_and_answers_like_the_large_one_whose_idle_layers_it_lost(tmp_path: Path) -> None:
    source = model_with_idle_layers(tmp_path / "large", layers=4, idle={1, 2})
    prune(source, tmp_path / "small", PruningSettings(keep_layers=2), PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "small")
    prompt = torch.tensor([render_prompt(tokenizer, PROMPTS[0]["messages"], None)])
    models: list[Any] = [load(folder) for folder in (source, tmp_path / "small")]
    large, small = (model.generate(prompt, max_new_tokens=8, do_sample=False) for model in models)
    assert models[1].config.num_hidden_layers == len(models[1].model.layers) == 2
    assert torch.equal(large, small)


@pytest.mark.parametrize("family", ["phi_4_mini", "phi_3_mini_4k", "llama_3_1_8b"])
def test_the_layers_named_are_kept_whatever_their_influence(tmp_path: Path, family: str) -> None:
    source = family_model(family, tmp_path / "large")
    summary = prune(source, tmp_path / "small", PruningSettings(layers=(1,)), PROMPTS)
    large, small = load(source), load(tmp_path / "small")
    assert summary == {"kept_layers": [1]}
    assert small.config.num_hidden_layers == 1
    assert torch.equal(small.model.layers[0].mlp.down_proj.weight, large.model.layers[1].mlp.down_proj.weight)
    assert small.model.layers[0].self_attn.layer_idx == 0


def test_a_configuration_that_lists_its_layers_lists_those_that_are_kept(tmp_path: Path) -> None:
    tokenizer: Any = tiny_tokenizer()
    kinds = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "sliding_window": 8,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer), layer_types=kinds, use_sliding_window=True, num_key_value_heads=2, pad_token_id=0, **sizes
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "large")
    tokenizer.save_pretrained(tmp_path / "large")
    prune(tmp_path / "large", tmp_path / "small", PruningSettings(layers=(1, 2, 3)), PROMPTS)
    assert load(tmp_path / "small").config.layer_types == kinds[1:]


def test_a_layer_that_changes_nothing_has_no_influence(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path, layers=2))
    with torch.no_grad():
        model.model.layers[1].self_attn.o_proj.weight.zero_()
        model.model.layers[1].mlp.down_proj.weight.zero_()
    influence = block_influence(model, [[5, 6, 7, 8], [9, 10]])
    assert influence[0] > 0.01
    assert influence[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PruningSettings(keep_layers=2), "keep_layers is 2 and the model has only 2 layers; keep fewer"),
        (PruningSettings(keep_layers=3), "keep_layers is 3 and the model has only 2 layers; keep fewer"),
        (
            PruningSettings(layers=(0, 1)),
            r"layers is \[0, 1\] and the model has only 2 layers, .*; name some of these, not all",
        ),
        (PruningSettings(layers=(2,)), r"layers is \[2\] and the model has only 2 layers, 0 to 1"),
    ],
)
def test_layers_that_are_not_there_cannot_be_kept_nor_all_of_them(
    tmp_path: Path, settings: PruningSettings, message: str
) -> None:
    weights = tiny_model(tmp_path / "model", layers=2)
    with pytest.raises(SettingsError, match=message):
        prune(weights, tmp_path / "small", settings, PROMPTS)
    assert not (tmp_path / "small").exists()


def test_a_model_that_keeps_its_layers_elsewhere_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    tokenizer: Any = tiny_tokenizer()
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    with pytest.raises(ModelError, match=r"a GPT2LMHeadModel has no layers in model\.layers, .* leave out pruning"):
        prune(tmp_path / "gpt2", tmp_path / "small", PruningSettings(keep_layers=1), PROMPTS)
