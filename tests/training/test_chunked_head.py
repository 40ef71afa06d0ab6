"""The head in chunks gives the loss and the gradients of whole logits, holds few of them, and knows the heads that it is not."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from tasks.core.errors import ModelError
from tasks.training.chunked_head import add_chunked_head
from tests.trainings import assert_same_gradients

VOCABULARY, ROWS, TOKENS = 50, 3, 12
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
INPUTS = torch.randint(2, VOCABULARY, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0))
POSITIONS = torch.rand(ROWS, TOKENS, generator=torch.Generator().manual_seed(1)) < 0.6
TARGETS = torch.randint(2, VOCABULARY, (int(POSITIONS.sum()),), generator=torch.Generator().manual_seed(2))


def llama(tied: bool = False) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=tied, initializer_range=0.2))


def loss_of(logits: Tensor, chunk: slice) -> Tensor:
    """A loss that is no plain cross-entropy: its gradient depends on each position's place among all."""
    losses = nn.functional.cross_entropy(logits, TARGETS[chunk], reduction="none")
    places = torch.arange(len(TARGETS))[chunk] + 1
    return (losses * places + 0.1 * logits.square().mean(-1)).sum() / 10


def gradients_of(model: Any) -> dict[str, Tensor]:
    return {name: tensor.grad.float() for name, tensor in model.named_parameters() if tensor.grad is not None}


def in_chunks(model: Any, chunk_tokens: int) -> tuple[float, dict[str, Tensor]]:
    add_chunked_head(model, chunk_tokens)
    loss = model(input_ids=INPUTS, answer_loss=loss_of, positions=POSITIONS)["loss"] * 3
    loss.backward()
    return loss.item(), gradients_of(model)


def at_once(model: Any) -> tuple[float, dict[str, Tensor]]:
    logits = model(input_ids=INPUTS).logits[POSITIONS]
    loss = loss_of(logits, slice(None)) * 3
    loss.backward()
    return loss.item(), gradients_of(model)


@pytest.mark.parametrize("tied", [False, True], ids=["a head of its own", "tied to the embedding"])
@pytest.mark.parametrize("chunk_tokens", [1, 5, 1000])
def test_loss_and_gradients_are_those_of_whole_logits_in_float64(tied: bool, chunk_tokens: int) -> None:
    wanted_loss, wanted = at_once(llama(tied).double())
    loss, gradients = in_chunks(llama(tied), chunk_tokens)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    assert ("lm_head.weight" in gradients) is not tied
    assert_same_gradients(gradients, wanted, tolerance=3e-6)


def test_in_bfloat16_they_differ_by_its_rounding() -> None:
    wanted_loss, wanted = at_once(llama())
    model = llama()
    with torch.autocast("cpu", torch.bfloat16):
        loss, gradients = in_chunks(model, chunk_tokens=4)
    assert loss == pytest.approx(wanted_loss, rel=1e-2)
    for name, gradient in gradients.items():
        assert nn.functional.cosine_similarity(gradient.flatten(), wanted[name].flatten(), dim=0) > 0.99, name


@pytest.mark.parametrize("frozen", ["the head", "all but the head"])
def test_what_is_frozen_gets_no_gradient_and_the_rest_gets_the_same(frozen: str) -> None:
    def freeze(model: Any) -> Any:
        for name, tensor in model.named_parameters():
            tensor.requires_grad_(name.startswith("lm_head") is (frozen == "all but the head"))
        return model

    wanted_loss, wanted = at_once(freeze(llama()))
    loss, gradients = in_chunks(freeze(llama()), chunk_tokens=4)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    assert_same_gradients(gradients, wanted, tolerance=3e-6)


@pytest.mark.parametrize("recording", [True, False], ids=["while it trains", "while it is evaluated"])
def test_no_more_logits_are_held_than_a_chunk_has(recording: bool) -> None:
    model, seen = llama(), []

    def watching(logits: Tensor, chunk: slice) -> Tensor:
        seen.append((chunk.stop - chunk.start, tuple(logits.shape), logits.dtype, logits.requires_grad))
        return loss_of(logits, chunk)

    add_chunked_head(model, 4)
    with nullcontext() if recording else torch.no_grad():
        model(input_ids=INPUTS, answer_loss=watching, positions=POSITIONS)
    whole, rest = divmod(len(TARGETS), 4)
    assert rest
    sizes = [4] * whole + [rest]
    assert seen == [(size, (size, VOCABULARY), torch.float32, recording) for size in sizes]


def test_without_a_loss_the_forward_pass_is_the_models_own() -> None:
    own, changed = llama().eval(), llama().eval()
    add_chunked_head(changed, 4)
    assert torch.equal(changed(input_ids=INPUTS).logits, own(input_ids=INPUTS).logits)
    assert changed(input_ids=INPUTS, labels=INPUTS).loss == own(input_ids=INPUTS, labels=INPUTS).loss
    asked = {"input_ids": INPUTS[:1], "attention_mask": torch.ones_like(INPUTS[:1]), "max_new_tokens": 6, "do_sample": False}
    assert torch.equal(changed.generate(**asked), own.generate(**asked))


@pytest.mark.parametrize(
    "model",
    [
        lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, final_logit_softcapping=30.0)),
        lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=8.0)),
        lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.0625)),
        lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    ],
    ids=["capped", "divided", "multiplied", "with a bias"],
)
def test_a_model_whose_logits_are_more_than_its_head_is_refused(model: Any) -> None:
    student = model().train()
    with pytest.raises(ModelError, match="are not its last hidden states times its head"):
        add_chunked_head(student, 4)
    assert student.training
    assert not student.get_output_embeddings()._forward_hooks
