"""Tokenizers are compared by what they do: padding does not matter, one merge does, and the message names where they part."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoTokenizer

from tasks.core.errors import SettingsError, StageFailedError
from tasks.preflight_checks.served_tokenizer import ask_tokens
from tasks.preflight_checks.tokenizer_identity import LocalTokens, require_same_end, require_same_tokens
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.endpoints import run_scripted_endpoint
from tests.families import FAMILIES, family_model
from tests.models import tiny_tokenizer


def local(tokenizer: Any, name: str = "model") -> LocalTokens:
    return LocalTokens(tokenizer, name)


def mend(folder: Path, file: str, change: Any) -> Any:
    """Change a JSON file of a tokenizer and return the tokenizer."""
    values = json.loads((folder / file).read_text())
    change(values)
    (folder / file).write_text(json.dumps(values))
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_is_the_same_as_itself_in_every_family(tmp_path: Path, family: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(family_model(family, tmp_path))

    require_same_tokens(local(tokenizer), local(tokenizer), "topk_kd")
    require_same_end(local(tokenizer), local(tokenizer), {tokenizer.eos_token_id}, "topk_kd")


def test_a_vocabulary_padded_to_more_rows_is_the_same(tmp_path: Path) -> None:
    padded, plain = family_model("phi_4_mini", tmp_path / "padded"), tmp_path / "plain"
    tokenizer = AutoTokenizer.from_pretrained(padded)
    tokenizer.save_pretrained(plain)

    assert AutoConfig.from_pretrained(padded).vocab_size > len(tokenizer)
    require_same_tokens(local(tokenizer), local(AutoTokenizer.from_pretrained(plain)), "topk_kd")


def test_two_tokenizers_of_one_size_that_differ_in_a_single_merge_are_not_the_same(folder: Path) -> None:
    teacher = AutoTokenizer.from_pretrained(folder)

    def swap_the_last_merge(values: Any) -> None:
        left, right = values["model"]["merges"][-1]
        del values["model"]["merges"][-1]
        values["model"]["merges"].append([right, left])
        values["model"]["vocab"][f"{right}{left}"] = values["model"]["vocab"].pop(f"{left}{right}")

    student = mend(folder, "tokenizer.json", swap_the_last_merge)

    assert len(student) == len(teacher)
    with pytest.raises(SettingsError, match=r"topk_kd trains on the teacher's token ids.* is .* for the teacher big and .* sft"):
        require_same_tokens(local(teacher, "big"), local(student, "small"), "topk_kd")


def test_a_merge_that_no_prepared_text_needs_is_found_by_the_token_that_it_makes(folder: Path) -> None:
    def add_a_rare_token(values: Any) -> None:
        values["model"]["vocab"] |= {"zq": 320, "zqzq": 321}
        values["model"]["merges"] += [["z", "q"], ["zq", "zq"]]

    def lose_its_merge(values: Any) -> None:
        del values["model"]["merges"][-1]

    teacher = mend(folder, "tokenizer.json", add_a_rare_token)
    student = mend(folder, "tokenizer.json", lose_its_merge)

    assert teacher.get_vocab() == student.get_vocab()
    with pytest.raises(SettingsError, match=r"the text 'zqzq' is \[321\] for the teacher model and \[320, 320\]"):
        require_same_tokens(local(teacher), local(student), "topk_kd")


def test_the_message_shows_the_text_and_both_encodings_around_the_place_where_they_part() -> None:
    student: Any = tiny_tokenizer()
    student.add_tokens(["runs"])
    added = student.convert_tokens_to_ids("runs")

    with pytest.raises(SettingsError) as caught:
        require_same_tokens(local(tiny_tokenizer(), "big"), local(student, "small"), "sampled_kd")

    message = str(caught.value)
    assert "\"The still is hot, and the spirit runs clear; isn't it? IT'S warm.\" is [..., " in message
    theirs, ours = message.partition(" is [")[2].partition(" for the student small")[0].split(" for the teacher big and ")
    assert f"{added}, " in ours
    assert f"{added}, " not in theirs
    assert theirs.split(", ")[:3] == ours.removeprefix("[").split(", ")[:3], "it starts a little before the difference"


def test_another_content_of_an_added_token_is_found(folder: Path) -> None:
    teacher = AutoTokenizer.from_pretrained(folder)

    def rename(values: Any) -> None:
        next(token for token in values["added_tokens"] if token["content"] == "<|pad|>")["content"] = "<|fim|>"
        values["model"]["vocab"]["<|fim|>"] = values["model"]["vocab"].pop("<|pad|>")

    student = mend(folder, "tokenizer.json", rename)

    with pytest.raises(SettingsError, match=r"<\|pad\|>"):
        require_same_tokens(local(teacher), local(student), "topk_kd")


def test_a_text_that_comes_back_otherwise_is_found(folder: Path) -> None:
    teacher = AutoTokenizer.from_pretrained(folder)

    def read_bytes_otherwise(values: Any) -> None:
        replaced = {"type": "Replace", "pattern": {"String": "!"}, "content": "?"}
        values["decoder"] = {"type": "Sequence", "decoders": [values["decoder"], replaced]}

    student = mend(folder, "tokenizer.json", read_bytes_otherwise)

    with pytest.raises(SettingsError, match=r"what the tokens \[.*, \.\.\.\] say is .*\] != y.* for the teacher .*\] \?= y"):
        require_same_tokens(local(teacher), local(student), "topk_kd")


def test_a_student_that_does_not_stop_where_the_teacher_does_is_refused() -> None:
    tokenizer: Any = tiny_tokenizer()
    pad = tokenizer.pad_token_id

    with pytest.raises(SettingsError, match=rf"end with '<\|im_end\|>' .* stops at the ids \[{pad}\], so it would never stop"):
        require_same_end(local(tokenizer), local(tokenizer), {pad}, "topk_kd")


def test_an_endpoint_that_does_not_tell_its_tokens_is_refused() -> None:
    with run_scripted_endpoint() as endpoint:
        settings = EndpointSettings(url=endpoint.url, model="tiny", server="vllm")
        with (
            ask_tokens(settings) as served,
            pytest.raises(SettingsError, match="answers /tokenize with HTTP 404, wanted its tokens"),
        ):
            require_same_tokens(served, local(tiny_tokenizer()), "topk_kd")


def test_an_endpoint_that_is_away_may_be_asked_again() -> None:
    with run_scripted_endpoint() as endpoint:
        settings = EndpointSettings(url=endpoint.url, model="tiny", server="vllm")
    with ask_tokens(settings) as served, pytest.raises(StageFailedError, match="does not answer /tokenize"):
        require_same_tokens(served, local(tiny_tokenizer()), "topk_kd")
