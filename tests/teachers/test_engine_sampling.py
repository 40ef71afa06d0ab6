"""How a real vLLM engine samples: each test has an engine of its own, for the settings hold for a whole engine."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.core.errors import ModelError
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.settings import EngineRuntime, LogprobSettings, Sampling
from tests.models import tiny_model, tiny_tokenizer
from tests.teachers.engine_rows import by_key, requests_of

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")

from tasks.teachers.vllm import Engine

pytestmark = pytest.mark.slow

RUNTIME = EngineRuntime(max_num_seqs=8)
LOGPROBS = LogprobSettings(top_k=4)
UNFINISHED = "\ufffd"  # a character of which the answer has not all bytes
TASTING = {"hot": {"type": "boolean"}, "proof": {"type": "integer", "minimum": 10, "maximum": 90, "multipleOf": 20}}
SCHEMA = {"type": "object", "properties": TASTING, "required": ["hot", "proof"], "additionalProperties": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def requests(model: Path) -> list[Request]:
    return requests_of(model, 16)


@pytest.fixture(scope="module")
def greedy(model: Path, requests: list[Request]) -> dict[str, Completion]:
    """What the likeliest tokens are."""
    return answers(model, requests)


def sampling(**changes: Any) -> Sampling:
    return Sampling.model_validate({"max_new_tokens": 16, "max_prompt_tokens": 64, "dtype": "float32", **changes})


def answers(
    model: Path, requests: list[Request], logprobs: LogprobSettings | None = None, **changes: Any
) -> dict[str, Completion]:
    """Return a new engine's answers, in a sampling that differs from the greedy one."""
    with Engine(model, sampling(**changes), RUNTIME, logprobs) as engine:
        return by_key(engine.stream(ListFeed(requests)))


def texts_of(completions: dict[str, Completion]) -> dict[str, str]:
    tokenizer = tiny_tokenizer()
    return {key: str(tokenizer.decode(answer.token_ids, skip_special_tokens=True)) for key, answer in completions.items()}


def edited(folder: Path, edit: Callable[[Any], None]) -> Path:
    """Write a tiny model with other weights."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model(folder))
    with torch.no_grad():
        edit(model)
    model.save_pretrained(folder)
    return folder


def echo(model: Any) -> None:
    """Make the last token the likeliest one to come next, for ever."""
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    model.lm_head.weight.copy_(model.model.embed_tokens.weight)


def shout(model: Any) -> None:
    """Make the logits as large as those of real models."""
    model.lm_head.weight.mul_(12)


def is_tasting(value: dict[str, Any]) -> bool:
    return value.keys() == TASTING.keys() and isinstance(value["hot"], bool) and value["proof"] in {20, 40, 60, 80}


def lose_the_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def lose_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def tear_the_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1_000])


def test_seeds_decide_what_is_sampled_in_this_engine_and_in_the_next_one(model: Path, requests: list[Request]) -> None:
    with Engine(model, sampling(temperature=1.0), RUNTIME) as engine:
        first = by_key(engine.stream(ListFeed(requests)))
        assert by_key(engine.stream(ListFeed(requests), in_flight=3)) == first
        reseeded = [replace(request, seed=request.seed + 1_000) for request in requests]
        assert by_key(engine.stream(ListFeed(reseeded))) != first
    assert answers(model, requests, temperature=1.0) == first


@pytest.mark.parametrize("truncation", [{"top_k": 1}, {"min_p": 1.0}])
def test_sampling_among_the_likeliest_token_alone_is_greedy(
    model: Path, requests: list[Request], greedy: dict[str, Completion], truncation: dict[str, Any]
) -> None:
    assert answers(model, requests, temperature=1.0, **truncation) == greedy


def test_stop_texts_end_answers_that_bring_log_probabilities(
    model: Path, requests: list[Request], greedy: dict[str, Completion]
) -> None:
    full = texts_of(greedy)
    stop = max("aehilnorst", key=lambda letter: sum(letter in text for text in full.values()))
    found = answers(model, requests, LOGPROBS, stop=(stop,))
    cut = {key for key, text in full.items() if stop in text}
    assert len(cut) > 2
    for key, answer in found.items():
        assert answer.text is not None
        assert answer.text.rstrip(UNFINISHED) == full[key].partition(stop)[0].rstrip(UNFINISHED)
        assert answer.token_ids == greedy[key].token_ids[: len(answer.token_ids)]
        assert answer.finish_reason == ("stop" if key in cut else greedy[key].finish_reason)
        assert answer.logprobs is not None
        assert answer.logprobs.top_ids.shape == (len(answer.token_ids), 4)
        assert answer.logprobs.top_ids[:, 0].tolist() == answer.token_ids, "at temperature 0 the likeliest token is taken"


def test_an_answer_that_goes_round_in_circles_is_ended(tmp_path: Path) -> None:
    model = edited(tmp_path, echo)
    requests = [Request(f"row-{token}", [9, 8, token], seed=0) for token in range(5, 15)]
    found = answers(model, requests, repetition={"max_pattern_tokens": 4, "min_count": 5}, max_new_tokens=64)
    assert {answer.finish_reason for answer in found.values()} == {"repetition"}
    assert all(answer.token_ids == [int(key.removeprefix("row-"))] * 5 for key, answer in found.items())


@pytest.mark.parametrize(
    ("form", "fits"),
    [
        ({"choice": ["hot", "not sure"]}, lambda text: text in {"hot", "not sure"}),
        ({"regex": "[a-c]{3}-[0-9]"}, lambda text: re.fullmatch("[a-c]{3}-[0-9]", text) is not None),
        ({"json_schema": SCHEMA}, lambda text: is_tasting(json.loads(text))),
    ],
    ids=["choice", "regex", "json_schema"],
)
def test_answers_have_the_form_that_is_asked_for(
    model: Path, requests: list[Request], form: dict[str, Any], fits: Callable[[str], bool]
) -> None:
    found = answers(model, requests, temperature=1.0, structured_output=form, max_new_tokens=32)
    assert {answer.finish_reason for answer in found.values()} == {"stop"}
    assert all(fits(text) for text in texts_of(found).values())


def test_a_form_that_cannot_be_is_refused_row_by_row(model: Path, requests: list[Request]) -> None:
    with Engine(model, sampling(structured_output={"regex": "(still"}), RUNTIME) as engine:
        found = by_key(engine.stream(ListFeed(requests)))
        assert engine.steps == 0
    assert found.keys() == {request.key for request in requests}
    assert {answer.finish_reason for answer in found.values()} == {"refused"}


def test_log_probabilities_of_a_half_precision_model_are_off_its_coarse_grid(tmp_path: Path) -> None:
    """In bfloat16, logits between 16 and 32 are multiples of 0.125, and so are their distances."""
    model = edited(tmp_path, shout)
    requests = requests_of(model, 16)
    on_grid = {}
    for exact in (False, True):
        settings = LogprobSettings(top_k=4, float32_head=exact)
        found = answers(model, requests, settings, dtype="bfloat16").values()
        kept = np.concatenate([answer.logprobs.top for answer in found if answer.logprobs is not None]).astype(float)
        distances = (kept[:, :1] - kept[:, 1:])[kept[:, 1:] > -8]
        on_grid[exact] = np.mean(np.abs(distances / 0.125 - np.round(distances / 0.125)) < 0.05)
    assert on_grid[False] > 0.9
    assert on_grid[True] < 0.3


@pytest.mark.parametrize("damage", [lose_the_config, lose_the_weights, tear_the_weights])
def test_a_model_that_cannot_be_loaded_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tiny_model(tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match="vLLM cannot load"):
        Engine(folder, sampling(), RUNTIME)
