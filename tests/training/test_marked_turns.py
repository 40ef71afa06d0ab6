"""Every assistant turn of a conversation is trained on, its end included and no header, in each of the shipped families."""

from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import ModelError, RefusedConversationError, SettingsError
from tasks.core.records import Message
from tasks.core.rendering import render_example, render_prompt
from tasks.teachers.exchange import ListFeed, Request
from tasks.teachers.settings import EngineRuntime, Sampling
from tasks.training.marked_turns import TurnMarker
from tests.families import FAMILIES, family_model
from tests.models import CHAT_TEMPLATE, tiny_tokenizer

ENDS = {"phi": "<|end|>", "llama": "<|eot_id|>", "smollm2": "<|im_end|>\n"}
LAST_ENDS = {**ENDS, "phi": "<|end|><|endoftext|>"}
MARKED = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}<|im_end|>\n",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}",
)


@cache
def family_tokenizer(family: str) -> Any:
    with TemporaryDirectory() as folder:
        return AutoTokenizer.from_pretrained(family_model(family, Path(folder)))


def conversation(*turns: str, system: str | None = None) -> list[Message]:
    messages: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    return messages + [{"role": ("user", "assistant")[number % 2], "content": turn} for number, turn in enumerate(turns)]


CONVERSATIONS = {
    "one turn": conversation("Is a still hot?", "It is."),
    "three turns": conversation("Is a still hot?", "It is.", "Always?", "No: cold at night.", "Why?", "Nobody heats it."),
    "system message": conversation("Is a still hot?", "Yes", "Sure?", "Yes", system="Answer with one word."),
    "empty system message": conversation("Is a still hot?", "Yes", system=""),
    "unicode": conversation("ü 漢 🥃?", "naïve ½ 漢字", "und?", "🙂 «gut»", system="ß"),
    "empty answer": conversation("Is a still hot?", "", "Say it.", "Hot."),
    "two answers alike": conversation("assistant", "assistant", "assistant", "assistant"),
}


def asked(tokenizer: Any, messages: list[Message]) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"])


def marked_texts(tokenizer: Any, messages: list[Message]) -> list[str]:
    """Return what the mask covers, one text for each unbroken run of tokens."""
    ids, mask = TurnMarker(tokenizer).mark(messages)
    runs = groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    return [tokenizer.decode([token for token, _ in run]) for marked, run in runs if marked]


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_conversation_has_the_tokens_of_the_familys_own_template(family: str, messages: list[Message]) -> None:
    tokenizer = family_tokenizer(family)
    ids, mask = TurnMarker(tokenizer).mark(messages)
    assert ids == asked(tokenizer, messages)
    assert len(mask) == len(ids)


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_mask_covers_the_answers_and_their_ends_and_nothing_else(family: str, messages: list[Message]) -> None:
    kind = next(kind for kind in ENDS if family.startswith(kind))
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    wanted = [answer + ENDS[kind] for answer in answers[:-1]] + [answers[-1] + LAST_ENDS[kind]]
    assert marked_texts(family_tokenizer(family), messages) == wanted


@pytest.mark.parametrize("answer", ["It is.", "", " yes", "\nyes", "\n\n\nyes", "  \n  yes \n", " ", "ü 漢 🥃"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_turn_is_what_training_on_the_last_turn_alone_sees(family: str, answer: str) -> None:
    tokenizer = family_tokenizer(family)
    before = conversation("Is a still hot?", "Yes", "Sure?", system="Answer.")
    prompt, completion = render_example(tokenizer, before, None, answer)
    ids, mask = TurnMarker(tokenizer).mark([*before, {"role": "assistant", "content": answer}])
    assert ids == prompt + completion
    assert mask[len(prompt) - 1 :] == [0] + [1] * len(completion)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_answer_follows_the_prompt_that_the_model_is_asked_with(family: str) -> None:
    tokenizer = family_tokenizer(family)
    messages = conversation("Is a still hot?", "Yes", "Sure?", "Quite", "Why?", "It burns")
    ids, mask = TurnMarker(tokenizer).mark(messages)
    starts = [place for place in range(1, len(mask)) if (mask[place - 1], mask[place]) == (0, 1)]
    assert [ids[:start] for start in starts] == [render_prompt(tokenizer, messages[:turn], None) for turn in (1, 3, 5)]


def test_white_space_that_would_merge_with_a_header_is_the_answers_in_every_turn() -> None:
    tokenizer: Any = tiny_tokenizer()
    messages = conversation("Is a still hot?", "\nyes", "Sure?", "\n\nyes")
    ids, _ = TurnMarker(tokenizer).mark(messages)
    assert marked_texts(tokenizer, messages) == ["\nyes<|im_end|>\n", "\n\nyes<|im_end|>\n"]
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(messages, tokenize=False)
    assert ids != asked(tokenizer, messages)  # there one token holds the end of the header and the start of the answer


def test_a_conversation_that_ends_with_a_question_has_marks_on_its_answers_alone() -> None:
    for family in FAMILIES:
        tokenizer, messages = family_tokenizer(family), conversation("Is a still hot?", "Yes", "Sure?")
        assert len(marked_texts(tokenizer, messages)) == 1
        assert TurnMarker(tokenizer).mark(messages)[0] == asked(tokenizer, messages)


def test_a_template_that_has_marks_of_its_own_is_taken_as_it_is() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = MARKED.replace("<|im_start|>{{", "<|im_start|>the {{")
    assert marked_texts(tokenizer, conversation("Hot?", "Yes", "Sure?", "Yes")) == ["Yes<|im_end|>"] * 2


@pytest.mark.parametrize(
    "template",
    [
        CHAT_TEMPLATE.replace("<|im_start|>{{", "<|im_start|>the {{"),
        MARKED.replace("<|im_start|>{{", "<|im_start|>the {{").replace("<|im_end|>{% endg", "{% endg").replace(
            "{% endgeneration %}", "{% endgeneration %}<|im_end|>"
        ),
    ],
    ids=["no marks", "marks without the end of a turn"],
)  # fmt: skip
def test_a_template_without_a_marked_twin_is_refused_with_the_remedy(template: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.name_or_path, tokenizer.chat_template = "acme/odd", template
    with pytest.raises(SettingsError, match=r"like that of acme/odd; .* set training\.turns: last, or add one to .*templates"):
        TurnMarker(tokenizer)


def test_a_conversation_that_the_twin_renders_differently_is_refused_without_telling_its_content() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "{{ message['content'] }}", "{{ message['content'] | replace('gin', 'rum') }}"
    )
    marker = TurnMarker(tokenizer)
    with pytest.raises(ModelError, match=r"roles \['user', 'assistant'\] as its own does") as error:
        marker.mark(conversation("What is it?", "Some gin."))
    assert "Some" not in str(error.value)


def test_a_conversation_that_the_template_refuses_is_an_error_of_its_own() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% if messages[0]['role'] == 'critic' %}{{ raise_exception('no') }}{% endif %}" + CHAT_TEMPLATE
    with pytest.raises(RefusedConversationError, match=r"the roles \['critic'\]"):
        TurnMarker(tokenizer).mark([{"role": "critic", "content": "Bad."}])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_model_of_a_family_trains_on_marked_turns(family: str, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(family_model(family, tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids, mask = (torch.tensor([row]) for row in TurnMarker(tokenizer).mark(CONVERSATIONS["three turns"]))
    loss = model(input_ids=ids, labels=ids.masked_fill(mask == 0, -100)).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in model.parameters())
    assert (model.config.vocab_size > len(tokenizer)) == family.startswith("phi")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["phi_4_mini", "phi_3_mini_128k", "llama_3_1_8b"])
def test_the_engine_answers_as_transformers_does(family: str, tmp_path: Path) -> None:
    from tasks.teachers.vllm import Engine

    weights = family_model(family, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(weights)
    prompts = {text: render_prompt(tokenizer, conversation(text), None) for text in ("Is a still hot?", "Warm", "the tap opens")}
    sampling = Sampling(max_prompt_tokens=112, max_new_tokens=12, dtype="float32")  # few enough for the short position factors
    with Engine(weights, sampling, EngineRuntime(max_num_seqs=4)) as engine:
        requests = [Request(text, tokens, seed=0) for text, tokens in prompts.items()]
        answers = {answer.key: answer for answer in engine.stream(ListFeed(requests))}

    model: Any = AutoModelForCausalLM.from_pretrained(weights)
    for text, tokens in prompts.items():
        prompt = torch.tensor([tokens])
        whole = model.generate(prompt, max_new_tokens=12, do_sample=False, pad_token_id=model.config.eos_token_id[0])
        said = whole[0, prompt.shape[1] :]
        assert answers[text].token_ids == said.tolist()
        assert (answers[text].finish_reason == "stop") == (said[-1].item() in model.generation_config.eos_token_id)
