"""A model that is taken through the teacher's answers, against Transformers and the divergence's definition."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from tasks.core.logprobs import to_float16
from tasks.core.records import Prompt
from tasks.core.tables import read_table, write_table
from tasks.fidelity.following import follow_texts
from tasks.fidelity.job import FollowedTexts
from tasks.fidelity.rows import FIDELITY, Candidates, FidelityRow, candidates_table
from tasks.fidelity.texts import reference_tokens
from tests.fidelity.following import divergence, item, log_probabilities, rendered
from tests.models import tiny_model, tiny_tokenizer

ANSWERS = {"item 0": [40, 71, 9, 2], "item 1": [5, 18, 250]}
ITEMS = [item(0, "the spirit"), item(1, None), item(2, "clear")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "teacher"), tiny_model(folder / "student", layers=1, seed=1)


def candidates(teacher: Path, prompt: Prompt, k: int) -> Candidates:
    """Return a teacher's answer with its k likeliest tokens."""
    text = ANSWERS[prompt["id"]]
    log_p = log_probabilities(teacher, rendered(prompt), text)
    ids = np.argsort(-log_p, axis=1)[:, :k]
    return Candidates(
        key=prompt["id"],
        token_ids=text,
        token_logprobs=to_float16(log_p[np.arange(len(text)), text]),
        top_ids=ids.astype(np.uint32),
        top_logprobs=to_float16(np.take_along_axis(log_p, ids, axis=1)),
    )


def follow(folder: Path, models: tuple[Path, Path], k: int, most_items: int = 3) -> dict[str, FidelityRow]:
    teacher, student = models
    rows = [candidates(teacher, prompt, k) for prompt in ITEMS[:2]]
    write_table(folder / "candidates.parquet", candidates_table(k), rows)
    job = FollowedTexts(most_items=most_items, candidates=folder / "candidates.parquet", rows=folder / "fidelity.parquet")
    follow_texts(job, student, "float32", ITEMS)
    return {row["id"]: row for row in read_table(job.rows, FIDELITY)}


def test_with_all_tokens_as_candidates_the_divergence_is_the_definitions(tmp_path: Path, models: tuple[Path, Path]) -> None:
    found = follow(tmp_path, models, 320)

    for prompt in ITEMS[:2]:
        text = ANSWERS[prompt["id"]]
        log_p, log_q = (log_probabilities(model, rendered(prompt), text) for model in models)
        row = found[prompt["id"]]
        assert row["answer_tokens"] == len(text)
        assert row["divergence_nats"] == pytest.approx(divergence(log_p, log_q), rel=2e-3)
        assert row["agreeing_tokens"] == (log_p.argmax(1) == log_q.argmax(1)).sum()
        assert row["answer_nats"] == pytest.approx(-log_q[np.arange(len(text)), text].sum(), rel=1e-5)
        assert row["covered"] == pytest.approx(len(text), rel=1e-3)


def test_fewer_candidates_give_a_bound_from_below_with_all_others_as_one_outcome(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    whole, found = follow(tmp_path, models, 320)["item 0"], follow(tmp_path, models, 4)["item 0"]
    log_p, log_q = (log_probabilities(model, rendered(ITEMS[0]), ANSWERS["item 0"]) for model in models)
    top = np.argsort(-log_p, axis=1)[:, :4]
    joined = [np.take_along_axis(np.exp(each), top, axis=1) for each in (log_p, log_q)]
    with_rest = [np.log(np.column_stack([each, 1 - each.sum(axis=1)])) for each in joined]

    assert found["divergence_nats"] == pytest.approx(divergence(*with_rest), rel=2e-3)
    assert found["divergence_nats"] < whole["divergence_nats"]
    assert found["covered"] == pytest.approx(joined[0].sum(), rel=1e-3)


def test_an_architecture_that_gives_the_logits_of_all_places_is_followed_too(
    tmp_path: Path, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, kind = follow(tmp_path, models, 8), type(AutoModelForCausalLM.from_pretrained(models[1]))
    original = kind.forward

    def forward(self: Any, input_ids: Any, attention_mask: Any = None, use_cache: bool = False) -> Any:
        return original(self, input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    monkeypatch.setattr(kind, "forward", forward)

    assert follow(tmp_path, models, 8) == {key: pytest.approx(row) for key, row in expected.items()}


def test_texts_of_some_items_are_enough_evenly_spread(tmp_path: Path, models: tuple[Path, Path]) -> None:
    found = follow(tmp_path, models, 4, most_items=2)

    assert [key for key, row in found.items() if row["answer_tokens"] or row["reference_tokens"]] == ["item 0", "item 2"]


def test_plain_text_is_continued_with_the_space_between_words() -> None:
    tokenizer = tiny_tokenizer()
    tokens = reference_tokens(tokenizer, {**item(0, "hot"), "messages": [], "text": "the still is"})

    assert tokens is not None
    assert tokenizer.decode(tokens[0] + tokens[1]) == "the still is hot<|im_end|>"


def test_a_reference_is_followed_with_its_end_of_turn_and_what_is_missing_is_left_out(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    found = follow(tmp_path, models, 16)
    prompt = rendered(ITEMS[0])
    text = rendered(ITEMS[0], "the spirit")[len(prompt) :]
    log_q = log_probabilities(models[1], prompt, text)

    assert found["item 0"]["reference_tokens"] == len(text)
    assert found["item 0"]["reference_nats"] == pytest.approx(-log_q[np.arange(len(text)), text].sum(), rel=1e-5)
    assert found["item 1"]["reference_tokens"] == 0
    assert (found["item 2"]["answer_tokens"], found["item 2"]["divergence_nats"]) == (0, 0)
    assert found["item 2"]["reference_tokens"] > 0
