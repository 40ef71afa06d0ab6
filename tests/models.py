"""A model of some kilobytes, made in code, that Transformers, TRL and vLLM load: random weights, tokenizer, chat template."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_END, _PAD, _START = "<|im_end|>", "<|pad|>", "<|im_start|>"
_TEXT = [
    "system user assistant",
    "premise: a still is hot. hypothesis: the still is cold. label: contradiction",
    "premise: the spirit runs clear. hypothesis: the spirit runs. label: entailment",
    "premise: someone opens the tap. hypothesis: it rains. label: neutral",
    "\n" * 8,  # so that blank lines merge into one token, as they do in the tokenizers of real models
]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer with a ChatML-like template; it encodes any text and decodes it to the same text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[_PAD, _START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_PAD)
    wrapped.add_special_tokens({"additional_special_tokens": [_START]})
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def tiny_model(folder: Path, layers: int = 2, seed: int = 0) -> Path:
    """Write a Llama of ``layers`` layers as float32 safetensors, with its tokenizer; the same seed gives the same weights.

    Args:
        folder: Where to write.
        layers: Decoder layers.
        seed: Seed of the weights.

    Returns:
        The folder.
    """
    tokenizer: Any = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,  # the smallest that vLLM's attention for CPUs supports
        max_position_embeddings=512,
        initializer_range=0.2,  # wide enough that the likeliest token wins by more than rounding
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.convert_tokens_to_ids(_END)] *= (
            3  # so that some answers end by themselves, at different lengths
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
