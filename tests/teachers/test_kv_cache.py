"""What a model keeps of a token is what the papers and vLLM count, for the ways of attention that there are."""

from typing import Any

import pytest
from transformers import DeepseekV3Config, Gemma3nTextConfig, LlamaConfig, MambaConfig, Qwen3NextConfig

from tasks.teachers.kv_cache import kv_values, kv_values_per_layer

LLAMA_8B: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def test_grouped_queries_keep_a_key_and_a_value_for_each_group() -> None:
    config = LlamaConfig(**LLAMA_8B)

    assert kv_values_per_layer(config) == 2 * 8 * 128
    assert kv_values(config, 1) * 2 == 128 << 10, "the 128 KiB a token of Llama 3 8B in bfloat16"


def test_heads_may_be_wider_than_their_share_and_each_have_its_own_key() -> None:
    assert kv_values_per_layer(LlamaConfig(**{**LLAMA_8B, "head_dim": 256})) == 2 * 8 * 256
    assert kv_values_per_layer(LlamaConfig(**{**LLAMA_8B, "num_key_value_heads": None})) == 2 * 32 * 128


def test_latent_attention_keeps_one_vector_for_all_heads() -> None:
    config = DeepseekV3Config(num_hidden_layers=61, kv_lora_rank=512, qk_rope_head_dim=64)

    assert kv_values_per_layer(config) == 576
    assert kv_values(config, 1) * 2 == 70_272, "the 70 KB a token that DeepSeek-V3 is known for"


def test_layers_with_one_state_for_a_whole_text_keep_nothing_of_a_token() -> None:
    hybrid = Qwen3NextConfig(num_hidden_layers=8)
    kinds = hybrid.layer_types
    assert kinds is not None

    assert kinds.count("full_attention") == 2
    assert kv_values(hybrid, 100) == 100 * 2 * kv_values_per_layer(hybrid)
    assert kv_values(MambaConfig(), 100) == 0


def test_layers_that_read_what_others_keep_do_not_count() -> None:
    config = Gemma3nTextConfig(num_hidden_layers=20, num_kv_shared_layers=8, layer_types=["full_attention"] * 20)

    assert kv_values(config, 1) == 12 * kv_values_per_layer(config)


@pytest.mark.parametrize(("window", "tokens", "kept"), [(None, 4096, 4096), (1024, 4096, 1024), (1024, 1000, 1000)])
def test_a_layer_that_looks_back_over_a_window_keeps_no_more_than_that(window: int | None, tokens: int, kept: int) -> None:
    config = LlamaConfig(**LLAMA_8B)
    config.sliding_window = window
    config.layer_types = ["sliding_attention", "full_attention"] * 16

    assert kv_values(config, tokens) == 2 * 8 * 128 * 16 * (kept + tokens)
