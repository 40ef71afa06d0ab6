"""Lengths are those that the training will see, whether counted in a batch or bounded."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tasks.core.rendering import render_example
from tasks.curating.student_tokens import StudentTokens
from tasks.filters import Candidate
from tests.filters.candidates import answered
from tests.models import tiny_model

CHATS = [answered(text) for text in ("Yes.", " Yes, while\nit runs. ", "Ja, müßte er", "")]
PLAIN = [Candidate(id="p", task="NLI", messages=[], text=text, completion=" hot") for text in ("A still is", "Ünd")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tokens") / "model")


def test_a_batch_counts_what_each_row_is_rendered_to(model: Path) -> None:
    tokenizer, tokens = AutoTokenizer.from_pretrained(model), StudentTokens(model)
    rows = [CHATS[0], PLAIN[0], *CHATS[1:], PLAIN[1]]
    rendered = [render_example(tokenizer, row.messages, row.text, row.completion) for row in rows]

    assert tokens.answers(rows) == [len(answer) for _, answer in rendered]
    assert tokens.rows(rows) == [len(prompt) + len(answer) for prompt, answer in rendered]


def test_no_row_is_longer_than_its_bound_and_other_letters_have_none(model: Path) -> None:
    tokens = StudentTokens(model)
    ascii_rows = [row for row in [*CHATS, *PLAIN] if all(text.isascii() for text in [row.completion, *row.prompt_texts()])]

    assert len(ascii_rows) == 4
    assert all(tokens.rows([row])[0] <= tokens.bound(row) for row in ascii_rows)
    assert tokens.bound(CHATS[2]) == tokens.bound(PLAIN[1]) == float("inf")
