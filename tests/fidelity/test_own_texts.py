"""What a teacher leaves of its own answers and the references, from an engine that says what it is told to."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import DataError
from tasks.core.tables import read_table
from tasks.fidelity.job import OwnTexts
from tasks.fidelity.own_texts import go_over_own_texts
from tasks.fidelity.rows import FIDELITY, FidelityRow, read_candidates
from tasks.teachers.exchange import Completion, GivenText, Request, TokenLogprobs
from tests.fidelity.following import item, rendered
from tests.models import tiny_tokenizer

ITEMS = [item(0, "the spirit"), item(1, None), item(2, "clear")]
REQUESTS = [Request(each["id"], rendered(each), seed=0) for each in ITEMS]
COMPLETIONS = [Completion(each["id"], [40 + number, 2], "stop") for number, each in enumerate(ITEMS)]


class SureEngine:
    """Gives each token of a text half of the probability, and a tenth to the next candidate."""

    def __init__(self, shift: int = 0) -> None:
        self.tokenizer: Any = tiny_tokenizer()
        self._shift = shift

    def force(self, texts: Sequence[GivenText], top_k: int) -> Iterator[tuple[GivenText, TokenLogprobs]]:
        assert top_k == 2
        for text in reversed(texts):  # they need not be done in their order
            likeliest = np.roll(text.token_ids, self._shift)
            log_p = np.log(np.tile([0.5, 0.1], (len(likeliest), 1))).astype(np.float16)
            sampled = log_p[:, 0] if not self._shift else np.full(len(likeliest), -0.1, np.float16)
            yield text, TokenLogprobs(sampled, np.column_stack([likeliest, likeliest + 1]).astype(np.uint32), log_p)


def rows_of(folder: Path, engine: Any, most_items: int = 3) -> dict[str, FidelityRow]:
    job = OwnTexts(top_k=2, most_items=most_items, candidates=folder / "candidates.parquet", rows=folder / "fidelity.parquet")
    go_over_own_texts(job, engine, ITEMS, REQUESTS, COMPLETIONS[::-1])
    return {row["id"]: row for row in read_table(job.rows, FIDELITY)}


def test_sums_are_over_the_tokens_of_answers_and_of_references(tmp_path: Path) -> None:
    row = rows_of(tmp_path, SureEngine())["item 0"]

    assert (row["answer_tokens"], row["agreeing_tokens"], row["divergence_nats"]) == (2, 2, 0)
    assert row["answer_nats"] == pytest.approx(2 * np.log(2), rel=1e-3)
    assert row["covered"] == pytest.approx(2 * 0.6, rel=1e-3)
    assert row["reference_tokens"] > 2
    assert row["reference_nats"] == pytest.approx(row["reference_tokens"] * np.log(2), rel=1e-3)


def test_candidates_are_kept_of_answers_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, SureEngine())

    assert {row["key"]: row["token_ids"] for row in read_candidates(tmp_path / "candidates.parquet")} == {
        answer.key: answer.token_ids for answer in COMPLETIONS
    }
    assert rows["item 1"]["reference_tokens"] == 0


def test_only_some_items_are_gone_over_where_there_are_more(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, SureEngine(), most_items=2)

    assert [key for key, row in rows.items() if row["answer_tokens"]] == ["item 0", "item 2"]
    assert [key for key, row in rows.items() if row["reference_tokens"]] == ["item 0", "item 2"]


def test_numbers_about_neighbouring_tokens_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neighbouring token"):
        rows_of(tmp_path, SureEngine(shift=1))
