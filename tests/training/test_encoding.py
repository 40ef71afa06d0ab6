"""What a row is made of: which tokens, which of them count, and why a row cannot be trained on."""

from typing import Any

import numpy as np
import pytest

from tasks.core.logprobs import NO_PROBABILITY
from tasks.core.records import Example, Message
from tasks.core.rendering import render_prompt
from tasks.training.encoding import EncodedRow, Encoder
from tests.models import tiny_tokenizer
from tests.trainings import WIDTH, example, training_settings, with_candidates

TOKENIZER: Any = tiny_tokenizer()
END = TOKENIZER.eos_token_id
TURNS: list[Message] = [
    {"role": "user", "content": "Is a still hot?"},
    {"role": "assistant", "content": "It is."},
    {"role": "user", "content": "Always?"},
]


def encode(row: Any, **settings: Any) -> EncodedRow | str:
    return Encoder(TOKENIZER, {END}, training_settings(**settings)).encode(row)


def encoded(row: Any, **settings: Any) -> Any:
    found: Any = encode(row, **settings)
    assert isinstance(found, EncodedRow), found
    assert len(found.input_ids) == len(found.counted)
    return found


def counted_text(row: EncodedRow) -> str:
    return TOKENIZER.decode([token for token, counted in zip(row.input_ids, row.counted, strict=True) if counted])


def without_end(row: Example) -> Any:
    """The same row as an endpoint tells it that keeps the token which ends an answer."""
    short: Any = {**row, "token_ids": row["token_ids"][:-1]}
    return {**short, **{name: short[name][:-1] for name in ("token_logprobs", "top_ids", "top_logprobs")}}


def test_the_answer_counts_and_the_prompt_does_not() -> None:
    row = example(1)
    found = encoded(row)
    prompt = render_prompt(TOKENIZER, row["messages"], None)
    assert found.input_ids[: len(prompt)] == prompt
    assert not any(found.counted[: len(prompt)])
    assert counted_text(found) == "it is cold<|im_end|>\n"
    assert found.top_ids is None


def test_a_plain_text_is_continued_up_to_an_end() -> None:
    found = encoded(example(1, messages=[], text="The still"))
    assert TOKENIZER.decode(found.input_ids) == "The stillit is cold<|im_end|>"
    assert counted_text(found) == "it is cold<|im_end|>"


@pytest.mark.parametrize(("turns", "counted"), [("last", "No.<|im_end|>\n"), ("all", "It is.<|im_end|>\nNo.<|im_end|>\n")])
def test_the_last_answer_counts_or_all_of_the_assistants_turns(turns: str, counted: str) -> None:
    found = encoded(example(1, messages=TURNS, completion="No."), turns=turns)
    assert counted_text(found) == counted
    assert "Always?" in TOKENIZER.decode(found.input_ids)


def test_reasoning_stands_before_the_answer_if_it_is_trained_on() -> None:
    thinking = example(1, reasoning="Steam rises.")
    assert counted_text(encoded(thinking)) == "it is cold<|im_end|>\n"
    learnt = encoded(thinking, train_on="reasoning_and_answer")
    assert counted_text(learnt) == "<think>\nSteam rises.\n</think>\n\nit is cold<|im_end|>\n"
    assert counted_text(encoded(example(1), train_on="reasoning_and_answer")) == "it is cold<|im_end|>\n"


def test_stored_candidates_come_with_the_teachers_own_tokens() -> None:
    row: Any = with_candidates(example(1))
    found = encoded(row, method="topk_kd")
    prompt = render_prompt(TOKENIZER, row["messages"], None)
    assert found.input_ids == prompt + row["token_ids"]
    assert found.counted == [False] * len(prompt) + [True] * len(row["token_ids"])
    np.testing.assert_array_equal(found.top_ids, row["top_ids"])
    np.testing.assert_array_equal(found.top_logprobs, row["top_logprobs"])


@pytest.mark.parametrize("place", [{}, {"messages": [], "text": "The still"}], ids=["a conversation", "plain text"])
def test_an_end_that_a_stop_text_kept_back_is_put_there_without_candidates(place: dict[str, Any]) -> None:
    row: Any = with_candidates(example(1, **place))
    found = encoded(without_end(row), method="topk_kd")
    assert found.input_ids[-1] == END
    assert found.input_ids == encoded(row, method="topk_kd").input_ids, "and none where the answer has its own"
    np.testing.assert_array_equal(found.top_ids[:-1], row["top_ids"][:-1])
    assert found.top_logprobs[-1].tolist() == [NO_PROBABILITY] * WIDTH
    assert (found.top_logprobs.dtype, found.top_ids.dtype) == (np.float16, np.uint32)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (example(1), "no_logprobs"),
        ({**with_candidates(example(1)), "token_ids": []}, "no_logprobs"),
        ({**with_candidates(example(1)), "completion": "it is mild"}, "other_tokens"),
        ({**with_candidates(example(1)), "completion": "cold"}, "other_tokens"),
        ({**with_candidates(example(1)), "reasoning": "Steam rises."}, "reasoning_not_trained_on"),
    ],
    ids=["no candidates", "no tokens", "another answer", "a part of the answer", "reasoning"],
)
@pytest.mark.parametrize("method", ["topk_kd", "sampled_kd"])
def test_rows_whose_tokens_are_not_their_answer_are_set_aside(row: Example, reason: str, method: str) -> None:
    assert encode(row, method=method) == reason


def test_white_space_and_special_tokens_make_no_other_answer() -> None:
    row: Any = {**with_candidates(example(1, completion=" it  is\ncold ")), "completion": "it is cold"}
    assert encoded(row, method="topk_kd").input_ids[-1] == END


def test_reasoning_that_is_trained_on_is_the_teachers_tokens_before_its_answer() -> None:
    said = with_candidates(example(1, completion="<think>Steam rises.</think> it is cold"))
    thinking: Any = {**said, "completion": "it is cold", "reasoning": "Steam rises."}
    learning = {"method": "topk_kd", "train_on": "reasoning_and_answer"}
    assert counted_text(encoded(thinking, **learning)) == "<think>Steam rises.</think> it is cold<|im_end|>"
    assert encode({**thinking, "completion": "it is mild"}, **learning) == "other_tokens"


@pytest.mark.parametrize("method", ["sft", "topk_kd"])
def test_a_row_of_the_longest_length_is_whole_and_a_longer_one_is_set_aside_or_cut(method: str) -> None:
    row: Any = with_candidates(example(1))
    whole = encoded(row, method=method)
    length, answer = len(whole.input_ids), sum(whole.counted)
    assert encoded(row, method=method, max_length_tokens=length).cut_tokens == 0
    assert encode(row, method=method, max_length_tokens=length - 1) == "too_long"
    cut = encoded(row, method=method, max_length_tokens=length - 2, over_long_rows="truncate")
    assert cut.input_ids == whole.input_ids[:-2]
    assert (cut.cut_tokens, sum(cut.counted)) == (2, answer - 2)
    if method == "topk_kd":
        np.testing.assert_array_equal(cut.top_ids, row["top_ids"][:-2])
        assert len(cut.top_logprobs) == answer - 2
    assert encode(row, method=method, max_length_tokens=length - answer, over_long_rows="truncate") == "too_long"


def test_the_first_token_of_all_never_counts_for_nothing_comes_before_it() -> None:
    row: Any = with_candidates(example(1, messages=[], text=""))
    assert not encoded(row).counted[0]
    found = encoded(row, method="topk_kd")
    assert found.input_ids == row["token_ids"]
    assert found.counted == [False, *[True] * (len(row["token_ids"]) - 1)]
    np.testing.assert_array_equal(found.top_ids, row["top_ids"][1:])


@pytest.mark.parametrize("method", ["sft", "topk_kd"])
def test_an_answer_that_a_limit_cut_off_does_not_teach_to_end_there(method: str) -> None:
    row = without_end(with_candidates(example(1, finish_reason="length")))
    assert counted_text(encoded(row, method=method)) == "it is cold"


def test_a_candidate_that_the_student_has_no_token_for_is_no_candidate() -> None:
    row: Any = with_candidates(example(1))
    row["top_ids"] = row["top_ids"].copy()
    row["top_ids"][:, -1] = len(TOKENIZER)
    found = encoded(row, method="topk_kd")
    assert (found.top_ids[:, -1] == 0).all()
    assert (found.top_logprobs[:, -1] == NO_PROBABILITY).all()
    assert (found.top_ids[:, :-1] == row["top_ids"][:, :-1]).all()
