"""Distances between inner states: none between equals, none by padding, and the same across architectures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from tasks.core.errors import ModelError
from tasks.training.inner_states import attention_distance, hidden_distance, relation_distance, watch_projections
from tests.families import family_model

TOKENS = torch.randint(3, 60, (2, 9), generator=torch.Generator().manual_seed(0))
TOGETHER = torch.ones(2, 9, 9, dtype=torch.bool)
SHARE = torch.full((2, 9), 1 / 18)


def llama(seed: int = 0, heads: int = 4, groups: int = 2, head_size: int = 8) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=60,
        hidden_size=heads * head_size,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=head_size,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval()


def states_of(model: Any, layer: int = 1) -> list[Tensor]:
    """Queries, keys and values of a layer."""
    states = watch_projections(model, layer)
    with torch.no_grad():
        model(input_ids=TOKENS)
    return states


@pytest.mark.parametrize("other", [{"heads": 8, "groups": 4}, {"head_size": 16}, {"heads": 6, "groups": 6, "head_size": 12}])
def test_relations_compare_models_of_other_widths_and_heads(other: dict[str, int]) -> None:
    ours, theirs = states_of(llama()), states_of(llama(seed=1, **other))
    assert [state.shape[-1] for state in ours] != [state.shape[-1] for state in theirs]
    assert relation_distance(ours, theirs, 2, TOGETHER, SHARE) > 0.01
    assert relation_distance(ours, ours, 2, TOGETHER, SHARE) == 0


def test_relations_do_not_change_with_a_turn_of_all_vectors() -> None:
    states = states_of(llama())
    turned = []
    for state in states:
        turn, _ = torch.linalg.qr(torch.randn(state.shape[-1], state.shape[-1], generator=torch.Generator().manual_seed(0)))
        turned.append(state @ turn)
    assert relation_distance(turned, states, 1, TOGETHER, SHARE) == pytest.approx(0, abs=1e-5)


def test_attention_maps_of_other_numbers_of_heads_are_compared_by_their_mean() -> None:
    maps = torch.rand(2, 4, 9, 9, generator=torch.Generator().manual_seed(0)).tril().clamp(min=0) + torch.eye(9)
    maps = maps / maps.sum(-1, keepdim=True)
    assert attention_distance(maps, maps.mean(1, keepdim=True), TOGETHER, SHARE) == pytest.approx(0, abs=1e-6)
    assert attention_distance(maps, maps.flip(1), TOGETHER, SHARE) > 0.01
    assert attention_distance(maps, maps.flip(1).mean(1, keepdim=True), TOGETHER, SHARE) == pytest.approx(0, abs=1e-6)


def test_padding_changes_nothing_whatever_stands_there() -> None:
    together, share = TOGETHER.clone(), torch.full((2, 9), 1 / 14)
    together[:, 7:], together[:, :, 7:], share[:, 7:] = False, False, 0
    ours, theirs = states_of(llama()), states_of(llama(seed=1))
    maps = [torch.rand(2, 4, 9, 9, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    short, whole = TOGETHER[:, :7, :7], torch.full((2, 7), 1 / 14)

    def all_distances(ours: list[Tensor], theirs: list[Tensor], maps: list[Tensor], *place: Tensor) -> list[float]:
        found = relation_distance(ours, theirs, 2, *place), attention_distance(*maps, *place)
        return [float(each) for each in (*found, hidden_distance(ours[0], theirs[0], place[1]))]

    def cut(states: list[Tensor]) -> list[Tensor]:
        return [state[:, :7] for state in states]

    wanted = all_distances(cut(ours), cut(theirs), [each[..., :7, :7] for each in maps], short, whole)
    assert all_distances(ours, theirs, maps, together, share) == pytest.approx(wanted, rel=1e-5)
    for state in (*ours, *theirs):
        state[:, 7:] = 1e4
    assert all_distances(ours, theirs, maps, together, share) == pytest.approx(wanted, rel=1e-5)


def test_fused_projections_give_what_separate_ones_would(tmp_path: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(family_model("phi_4_mini", tmp_path)).eval()
    inner: list[Tensor] = []
    attention = model.model.layers[1].self_attn
    attention.register_forward_pre_hook(lambda _, __, named: inner.append(named["hidden_states"]), with_kwargs=True)
    found = states_of(model)
    weights = attention.qkv_proj.weight.split([64, 32, 32])  # two heads of size 32 and one of keys and values
    for state, weight in zip(found, weights, strict=True):
        torch.testing.assert_close(state, inner[0] @ weight.T)


def test_a_model_without_such_projections_is_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2))
    with pytest.raises(ModelError, match=r"set hidden_states\.relation_weight to 0"):
        watch_projections(model, 0)
