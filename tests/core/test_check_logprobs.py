"""Log-probabilities that cannot be right are refused, and sound ones are not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.core.errors import DataError
from tasks.core.logprobs import check_logprobs, to_float16
from tasks.core.records import GENERATIONS, Generation, with_logprobs
from tasks.core.tables import to_arrow

VOCABULARY, K = 200, 8


def answer(key: str, tokens: int, k: int = K) -> dict[str, Any]:
    """An answer sampled from a made-up distribution that is another one at every token."""
    random = np.random.default_rng(int(key))
    logits = random.normal(scale=3.0, size=(tokens, VOCABULARY))
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    token_ids = [int(random.choice(VOCABULARY, p=np.exp(row))) for row in logprobs]
    top_ids = np.argsort(-logprobs, axis=1)[:, :k]
    row = Generation(
        key=key,
        teacher="teacher",
        answer="",
        reasoning=None,
        token_ids=token_ids,
        finish_reason="stop",
        prompt_tokens=1,
        completion_tokens=tokens,
        seed=0,
        token_logprobs=to_float16(logprobs[np.arange(tokens), token_ids]),
        top_ids=top_ids.astype(np.uint32),
        top_logprobs=to_float16(np.take_along_axis(logprobs, top_ids, axis=1)),
    )
    return dict(row)


def table(rows: list[dict[str, Any]], k: int = K) -> pa.Table:
    return to_arrow(with_logprobs(GENERATIONS, k), rows)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [answer("1", 30), answer("2", 0), answer("3", 70)]


def one_token_less(row: dict[str, Any]) -> None:
    row["token_ids"] = row["token_ids"][:-1]


def one_candidate_row_less(row: dict[str, Any]) -> None:
    row["top_ids"] = row["top_ids"][:-1]


def an_id_beyond_the_vocabulary(row: dict[str, Any]) -> None:
    row["top_ids"][5, 2] = VOCABULARY


def a_token_beyond_the_vocabulary(row: dict[str, Any]) -> None:
    row["token_ids"][5] = VOCABULARY


def not_a_number(row: dict[str, Any]) -> None:
    row["top_logprobs"][5, 2] = np.nan


def infinite(row: dict[str, Any]) -> None:
    row["token_logprobs"][5] = -np.inf


def above_zero(row: dict[str, Any]) -> None:
    row["top_logprobs"][5, 0] = 0.01


def unsorted(row: dict[str, Any]) -> None:
    row["top_logprobs"][5] = row["top_logprobs"][5, ::-1]


def sampled_unlike_its_candidate(row: dict[str, Any]) -> None:
    row["token_ids"][5] = int(row["top_ids"][5, 0])
    row["token_logprobs"][5] = row["top_logprobs"][5, 0] - np.float16(0.05)


def sampled_above_the_candidates(row: dict[str, Any]) -> None:
    row["token_ids"][5] = next(number for number in range(VOCABULARY) if number not in row["top_ids"][5])
    row["token_logprobs"][5] = row["top_logprobs"][5, -1] / 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (one_token_less, "row 3: token_logprobs has 70 tokens, wanted 69"),
        (one_candidate_row_less, "row 3: top_ids has 69 tokens, wanted 70"),
        (an_id_beyond_the_vocabulary, "row 3, token 5: top_ids has 200, wanted .* below the vocabulary's size, 200"),
        (a_token_beyond_the_vocabulary, "row 3, token 5: token_ids has 200, wanted .* below"),
        (not_a_number, "row 3, token 5: top_logprobs has nan, wanted finite"),
        (infinite, "row 3, token 5: token_logprobs has -inf, wanted finite"),
        (above_zero, "row 3, token 5: top_logprobs has 0.01.*, wanted .*at most 0"),
        (unsorted, "row 3, token 5: top_logprobs has .*, wanted sorted"),
        (sampled_unlike_its_candidate, "row 3, token 5: token_logprobs has .*, wanted .*what top_logprobs has"),
        (sampled_above_the_candidates, "row 3, token 5: token_logprobs has .*, wanted .*no more than the last"),
    ],
)
def test_what_is_wrong_is_named(rows: list[dict[str, Any]], damage: Callable[[dict[str, Any]], None], message: str) -> None:
    check_logprobs(table(rows), VOCABULARY)
    damage(rows[2])
    with pytest.raises(DataError, match=message):
        check_logprobs(table(rows), VOCABULARY)


def test_a_null_among_the_numbers_is_refused(rows: list[dict[str, Any]]) -> None:
    data = table(rows)
    place = data.schema.get_field_index("token_logprobs")
    lists = data["token_logprobs"].to_pylist()
    lists[0][3] = None
    with pytest.raises(DataError, match="1 nulls"):
        check_logprobs(data.set_column(place, data.schema.field(place), pa.array(lists, pa.list_(pa.float16()))))


def test_a_slice_of_a_table_is_checked_by_its_own_rows(rows: list[dict[str, Any]]) -> None:
    not_a_number(rows[0])
    check_logprobs(table(rows).slice(1))
    with pytest.raises(DataError, match="row 1, token 5"):
        check_logprobs(pa.concat_tables([table(rows).slice(2), table(rows).slice(0, 1)]))


def test_sampled_tokens_alone_are_checked_too() -> None:
    row = answer("1", 10)
    check_logprobs(table([row], k=0), VOCABULARY)
    infinite(row)
    with pytest.raises(DataError, match="token 5"):
        check_logprobs(table([row], k=0), VOCABULARY)


def test_tables_without_rows_or_tokens_have_nothing_wrong() -> None:
    check_logprobs(table([]), VOCABULARY)
    check_logprobs(table([answer("1", 0)]), VOCABULARY)
    check_logprobs(table([answer("1", 0)]), VOCABULARY, draws=4)


def test_probability_zero_is_a_number_that_is_stored() -> None:
    stored = to_float16(np.array([0.0, -70_000.0, -np.inf], np.float32))
    assert stored.dtype == np.float16
    assert stored.tolist() == [0, -65504, -65504]
    assert np.exp(stored.astype(np.float32)).tolist() == [1, 0, 0]
    assert np.isnan(to_float16(np.array([np.nan]))).all(), "not a number stays one, so that it is refused"
