"""Fresh weights: another model's architecture and tokenizer, weights of their own, and sizes that may differ."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from tasks.core.errors import SettingsError
from tasks.initialisers.fresh import draw_weights
from tasks.initialisers.settings import FreshSettings
from tests.families import FAMILIES, family_model
from tests.initialisers.sources import load
from tests.models import tiny_model, tiny_tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_model_has_the_architecture_and_tokenizer_of_its_source_and_other_weights(tmp_path: Path, family: str) -> None:
    source = family_model(family, tmp_path / "source")
    summary = draw_weights(source, tmp_path / "fresh", FreshSettings(seed=1))
    before, after = load(source), load(tmp_path / "fresh")

    assert type(after) is type(before)
    assert {**after.config.to_dict(), "_name_or_path": ""} == {**before.config.to_dict(), "_name_or_path": ""}
    assert shapes(after) == shapes(before)
    assert not torch.equal(after.model.layers[0].mlp.down_proj.weight, before.model.layers[0].mlp.down_proj.weight)
    assert summary == {"layers": 2, "hidden_size": 64, "parameters": before.num_parameters()}
    texts = [AutoTokenizer.from_pretrained(folder)("the still is hot")["input_ids"] for folder in (source, tmp_path / "fresh")]
    assert texts[0] == texts[1]
    ends = [GenerationConfig.from_pretrained(folder).eos_token_id for folder in (source, tmp_path / "fresh")]
    assert ends[0] == ends[1]


def test_the_same_seed_draws_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "source")
    torch.manual_seed(1)
    undisturbed = torch.get_rng_state()
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        draw_weights(source, tmp_path / name, FreshSettings(seed=seed))
    one, again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "again", "other"))

    assert one == again
    assert one != other
    assert torch.equal(torch.get_rng_state(), undisturbed)


@pytest.mark.parametrize("named", [True, False], ids=["named in the configuration", "only in the weights"])
def test_the_weights_have_the_number_format_of_the_source(tmp_path: Path, named: bool) -> None:
    source = tiny_model(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, source / "model.safetensors", {"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config.pop("dtype")
    (source / "config.json").write_text(json.dumps(config | ({"dtype": "bfloat16"} if named else {})))
    draw_weights(source, tmp_path / "fresh", FreshSettings())

    assert {tensor.dtype for tensor in load_file(tmp_path / "fresh" / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "fresh" / "config.json").read_text())["dtype"] == "bfloat16"


def test_sizes_may_differ_and_those_that_follow_from_them_follow(tmp_path: Path) -> None:
    source = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=384,
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            pad_token_id=0,
        )
    )
    source.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    changes: Any = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "rms_norm_eps": 1e-5}
    draw_weights(tmp_path / "source", tmp_path / "fresh", FreshSettings(config=changes))
    fresh = load(tmp_path / "fresh")

    assert {name: getattr(fresh.config, name) for name in changes} == changes
    assert fresh.config.num_key_value_heads == 2
    assert fresh.config.layer_types == ["full_attention"] * 3
    assert tuple(fresh.model.layers[2].self_attn.k_proj.weight.shape) == (32, 32)


def test_the_size_of_a_head_follows_unless_the_source_has_one_of_its_own(tmp_path: Path) -> None:
    following = family_model("llama_3_1_8b", tmp_path / "following")  # hidden_size / num_attention_heads
    own = tiny_model(tmp_path / "own")
    for source, wanted in ((following, 16), (own, 32)):
        draw_weights(source, tmp_path / "fresh", FreshSettings(config={"hidden_size": 32}))
        assert load(tmp_path / "fresh").config.head_dim == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hiden_size": 32},
            "names 'hiden_size', which .* configuration does not have; did you mean hidden_size",
        ),
        ({"nonsense": 1}, "'nonsense', .*; those that can be changed are .*hidden_size, .*num_hidden_layers"),
        ({"model_type": "qwen2"}, "names 'model_type'"),
        ({"rope_parameters": "none"}, "names 'rope_parameters'"),
        ({"hidden_size": "wide"}, "makes no working llama model: .*expected int, got str"),
        ({"hidden_size": 30}, "makes no working llama model: .*not a multiple of the number of attention"),
        ({"num_attention_heads": 0}, "makes no working llama model"),
        ({"num_key_value_heads": 3}, "makes no working llama model"),
        ({"hidden_act": "sine"}, "makes no working llama model: .*sine"),
        ({"vocab_size": 100}, "vocab_size of 100 and the tokenizer has 3.. tokens; leave vocab_size as it is"),
    ],
)
def test_a_configuration_that_does_not_work_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    source = tiny_model(tmp_path / "source")
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        draw_weights(source, tmp_path / "fresh", FreshSettings(config=changes))
    assert not (tmp_path / "fresh").exists()


def shapes(model: Any) -> dict[str, Any]:
    """Return the shape and type of every weight."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
