"""What a model is built of is known without its weights, and what cannot be trained is refused by name."""

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, MambaConfig, Qwen3NextConfig

from tasks.core.errors import ModelError, SettingsError
from tasks.preflight_checks.architecture import read_shape, require_projections, require_same_outputs, require_trainable
from tasks.preflight_checks.shape import ModelShape
from tests.families import FAMILIES, family_model
from tests.models import tiny_model


def trainable(shape: ModelShape, **plan: Any) -> None:
    require_trainable(shape, **{"method": "sft", "lora_target_modules": None, "packing": False, "relations": False, **plan})


def shape_of(folder: Path, config: Any) -> ModelShape:
    config.save_pretrained(folder)
    return read_shape(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shape_is_that_of_the_loaded_model_and_needs_no_weights(tmp_path: Path, family: str) -> None:
    folder = family_model(family, tmp_path)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()

    shape = read_shape(folder)

    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.tied == model.config.tie_word_embeddings == (model.lm_head.weight is model.model.embed_tokens.weight)
    assert shape.embedding_parameters == model.model.embed_tokens.weight.numel() * (1 if shape.tied else 2)
    assert (shape.layers, shape.hidden_size, shape.intermediate_size) == (2, 64, 128)
    assert (shape.heads, shape.kv_heads, shape.head_dim) == (2, model.config.num_key_value_heads, 32)
    assert shape.vocabulary_rows == model.config.vocab_size
    assert shape.attention == ("fused" if "phi" in family else "separate")
    assert shape.head == "lm_head"
    trainable(shape, relations=True, packing=True, lora_target_modules=())


def test_adapters_are_counted_as_peft_makes_them(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    wrapped: Any = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=3, target_modules=["q_proj", "down_proj"])
    )
    linear = read_shape(folder).linear_modules

    trained = sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)
    assert 3 * (linear["self_attn.q_proj"] + linear["mlp.down_proj"]) == trained
    assert "lm_head" not in linear


def test_adapters_of_layers_that_are_not_there_are_refused_with_the_names_that_are(tmp_path: Path) -> None:
    shape = read_shape(family_model("phi_4_mini", tmp_path))

    trainable(shape, lora_target_modules=("qkv_proj", "mlp.down_proj"))
    with pytest.raises(SettingsError, match=r"has \['q_proj', 'v_proj'\], and Phi3ForCausalLM has no .*'self_attn\.qkv_proj'"):
        trainable(shape, lora_target_modules=("q_proj", "v_proj", "o_proj"))


def test_an_adapter_of_the_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"has \['lm_head'\], the head of LlamaForCausalLM"):
        trainable(read_shape(tiny_model(tmp_path)), lora_target_modules=("q_proj", "lm_head"))


def test_packing_is_refused_where_layers_carry_a_state_from_row_to_row(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, Qwen3NextConfig(num_hidden_layers=4, num_experts=2, num_experts_per_tok=1))

    trainable(shape)
    with pytest.raises(SettingsError, match=r"has layers of the kinds \['linear_attention'\], through which rows see each other"):
        trainable(shape, packing=True)


def test_relations_are_refused_where_queries_keys_and_values_cannot_be_told_apart(tmp_path: Path) -> None:
    shape = shape_of(tmp_path / "gpt2", GPT2Config(n_layer=2, n_embd=32, n_head=4))
    assert shape.attention == "other"
    assert "attn.c_attn" in shape.linear_modules

    trainable(shape)
    with pytest.raises(SettingsError, match="GPT2LMHeadModel has no projections k_proj, q_proj, v_proj or qkv_proj"):
        trainable(shape, relations=True)
    with pytest.raises(SettingsError, match="set relation_weight to 0"):
        require_projections(shape_of(tmp_path / "mamba", MambaConfig(num_hidden_layers=2, hidden_size=32)))


def test_a_model_that_changes_its_logits_is_refused_by_the_methods_that_read_the_head(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, Gemma2Config(num_hidden_layers=2, hidden_size=32, intermediate_size=64))

    trainable(shape, method="on_policy")
    with pytest.raises(SettingsError, match=r"\(final_logit_softcapping is 30\.0\)"):
        trainable(shape, method="topk_kd")


def test_on_policy_needs_as_many_output_tokens(tmp_path: Path) -> None:
    small = read_shape(tiny_model(tmp_path))
    require_same_outputs(small, small)

    with pytest.raises(SettingsError, match=r"the student has 320 output tokens, the teacher 384"):
        require_same_outputs(small.model_copy(update={"vocabulary_rows": 384}), small)


def test_a_model_cut_down_has_its_embeddings_and_a_part_of_the_rest(tmp_path: Path) -> None:
    whole, cut = read_shape(tiny_model(tmp_path / "4", layers=4)), read_shape(tiny_model(tmp_path / "3", layers=3))

    assert whole.with_layers(3).linear_modules == cut.linear_modules
    assert whole.with_layers(3).parameters == pytest.approx(cut.parameters, abs=32)  # the last norm is in no layer


def test_a_very_large_model_takes_no_memory_to_look_at(tmp_path: Path) -> None:
    shape = shape_of(
        tmp_path, LlamaConfig(hidden_size=16384, intermediate_size=53248, num_hidden_layers=126, num_key_value_heads=8)
    )

    assert shape.parameters > 300e9


def test_a_folder_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')

    with pytest.raises(ModelError, match="no configuration of a causal language model that Transformers knows"):
        read_shape(tmp_path)
