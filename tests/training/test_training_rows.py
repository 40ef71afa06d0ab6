"""From a dataset's file to batches: counted, set aside, weighted, and every candidate beside the token that it is about."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core.errors import DataError
from tasks.core.records import Example
from tasks.training.collation import AnswerCollator
from tasks.training.encoding import Encoder
from tasks.training.training_rows import IGNORED, TrainingRows, prepare_rows
from tests.models import tiny_tokenizer
from tests.trainings import WIDTH, example, training_settings, with_candidates, write_examples

TOKENIZER: Any = tiny_tokenizer()
NAMES = ("input_ids", "labels", "weights", "top_ids", "top_logprobs")


def prepare(folder: Path, rows: list[Example], **settings: Any) -> tuple[dict[str, TrainingRows], dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    chosen = training_settings(**settings)
    encoder = Encoder(TOKENIZER, {TOKENIZER.eos_token_id}, chosen)
    return prepare_rows(write_examples(folder / "examples.parquet", rows), folder / "encoded", encoder, chosen)


def of_several_lengths(count: int = 12) -> list[Any]:
    answers = ("hot", "it is cold", "nobody knows how mild it is")
    return [with_candidates(example(number, completion=answers[number % 3])) for number in range(count)]


def test_rows_and_tokens_are_counted_by_split(tmp_path: Path) -> None:
    rows = of_several_lengths(10)  # of which 0 and 5 are for validation
    splits, findings = prepare(tmp_path, rows, method="topk_kd")
    answers = {"train": 0, "validation": 0}
    for row in rows:
        answers[row["split"]] += len(row["token_ids"])
    assert findings["rows"] == {"train": 8, "validation": 2}
    assert findings["answer_tokens"] == answers
    assert findings["tokens"]["train"] == sum(splits["train"].dataset["length"])
    assert (findings["truncated_rows"], findings["truncated_tokens"], findings["set_aside"]) == (0, 0, {})


@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
def test_candidates_stay_beside_their_tokens_whatever_rows_share_a_batch(tmp_path: Path, packing: bool) -> None:
    rows = of_several_lengths()
    splits, _ = prepare(tmp_path, rows, method="topk_kd", teacher_weights={"teacher": 0.5})
    collate, train = AnswerCollator(splits, TOKENIZER.pad_token_id, packing), splits["train"].dataset
    known = [row for row in rows if row["split"] == "train"]
    for batch_of in np.random.default_rng(0).permutation(len(known))[:8].reshape(2, 4).tolist():
        batch = collate([train[row] for row in batch_of])
        labels = batch["labels"][:, 1:]
        assert labels[labels != IGNORED].tolist() == [token for row in batch_of for token in known[row]["token_ids"]]
        for name in ("top_ids", "top_logprobs"):
            wanted = np.concatenate([known[row][name] for row in batch_of])
            np.testing.assert_array_equal(batch[name], wanted.astype(np.float64))
        assert batch["weights"].tolist() == [0.5] * len(batch["top_ids"])
        assert batch["num_tokens"] == sum(train[row]["length"] for row in batch_of)
        assert len(batch["input_ids"]) == (1 if packing else 4)


def test_a_batch_of_validation_rows_has_their_own_candidates(tmp_path: Path) -> None:
    rows = of_several_lengths()
    splits, _ = prepare(tmp_path, rows, method="topk_kd")
    batch = AnswerCollator(splits, TOKENIZER.pad_token_id, packing=False)([splits["validation"].dataset[1]])
    np.testing.assert_array_equal(batch["top_ids"], rows[5]["top_ids"])


def test_positions_start_anew_with_every_packed_row(tmp_path: Path) -> None:
    splits, _ = prepare(tmp_path, of_several_lengths())
    rows = [splits["train"].dataset[row] for row in (2, 0)]
    batch = AnswerCollator(splits, TOKENIZER.pad_token_id, packing=True)(rows)
    lengths = [row["length"] for row in rows]
    assert batch["position_ids"].tolist() == [[*range(lengths[0]), *range(lengths[1])]]
    assert "attention_mask" not in batch
    assert "top_ids" not in batch


def test_what_is_cut_and_set_aside_is_counted_with_its_reason(tmp_path: Path) -> None:
    rows = of_several_lengths(20)
    rows[1]["completion"], rows[2]["reasoning"], rows[3]["token_ids"] = "another", "Steam rises.", []
    for name in ("token_logprobs", "top_ids", "top_logprobs"):
        rows[3][name] = rows[3][name][:0]
    _, findings = prepare(tmp_path, rows, method="topk_kd", max_unusable_ratio=0.15)
    assert findings["set_aside"] == {"other_tokens": 1, "reasoning_not_trained_on": 1, "no_logprobs": 1}
    assert findings["rows"]["train"] == 13
    lengths = prepare(tmp_path / "whole", of_several_lengths())[0]["train"].dataset["length"]
    limit = max(lengths) - 3
    _, findings = prepare(tmp_path / "cut", of_several_lengths(), max_length_tokens=limit, over_long_rows="truncate")
    assert findings["truncated_rows"] >= sum(length > limit for length in lengths) > 0
    assert findings["tokens"]["train"] == sum(min(length, limit) for length in lengths)


def test_too_many_unusable_rows_end_the_run_with_what_to_do(tmp_path: Path) -> None:
    rows = of_several_lengths(20)
    for row in rows[1:3]:
        row["completion"] = "another"
    prepare(tmp_path / "enough", rows, method="topk_kd", max_unusable_ratio=0.1)
    with pytest.raises(DataError, match=r'2 of 20 rows cannot be trained on by topk_kd \({"other_tokens": 2}\)') as error:
        prepare(tmp_path / "too few", rows, method="topk_kd", max_unusable_ratio=0.09)
    assert "allows 9 %" in str(error.value)


def test_a_dataset_without_log_probabilities_cannot_train_what_needs_them(tmp_path: Path) -> None:
    rows = [example(number) for number in range(5)]
    with pytest.raises(DataError, match=r"no_logprobs: ask for generations\.logprobs"):
        prepare(tmp_path, rows, method="sampled_kd", max_unusable_ratio=1)


def test_each_teachers_rows_have_its_weight(tmp_path: Path) -> None:
    teachers = ["a", "b", None]
    rows = [example(number, teacher=teachers[number % 3], split="train") for number in range(6)]
    splits, _ = prepare(tmp_path, rows, teacher_weights={"a": 0.25, "c": 9})
    assert splits["train"].dataset["weight"][:] == [0.25, 1, 1] * 2
    batch = AnswerCollator(splits, TOKENIZER.pad_token_id, packing=False)([splits["train"].dataset[row] for row in (1, 0)])
    first = int((batch["labels"][0] != IGNORED).sum())
    assert batch["weights"][:first].unique().tolist() == [1]
    assert batch["weights"][first:].unique().tolist() == [0.25]


def test_one_row_stands_for_all_teachers_that_gave_the_same_answer(tmp_path: Path) -> None:
    shared: Any = with_candidates(example(1))
    other: Any = with_candidates(example(2))
    again: Any = {**shared, "teacher": "second", "top_logprobs": shared["top_logprobs"] - np.float16(1)}  # less likely to it
    differs: Any = {**other, "teacher": "second", **with_candidates(example(2, completion="mild"))}
    chosen = {"method": "topk_kd", "teacher_weights": {"teacher": 3, "second": 1}}
    splits, findings = prepare(tmp_path, [shared, other, again, differs], **chosen, distillation={"combine_teachers": True})
    assert findings["rows"]["train"] == 3
    by_length = sorted(zip(splits["train"].dataset["weight"], splits["train"].dataset["row"], strict=True))
    (weight, combined) = by_length[-1]
    assert (weight, [weight for weight, _ in by_length[:-1]]) == (4, [3, 3])
    assert splits["train"].candidates is not None
    ids, logprobs = splits["train"].candidates.of(combined)
    assert ids.shape == (len(shared["token_ids"]), WIDTH)
    mean = np.exp(shared["top_logprobs"].astype(float)) * (3 + np.exp(-1)) / 4
    order = np.argsort(shared["top_ids"], axis=1)
    found = np.take_along_axis(np.exp(logprobs.astype(float)), np.argsort(ids, axis=1), axis=1)
    np.testing.assert_allclose(found, np.take_along_axis(mean, order, axis=1), rtol=3e-3)
    assert prepare(tmp_path / "apart", [shared, other, again, differs], **chosen)[1]["rows"]["train"] == 4


def test_the_same_examples_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        prepare(tmp_path / name, of_several_lengths(), method="topk_kd")
    one, other = ({file.name: file.read_bytes() for file in (tmp_path / name / "encoded").iterdir()} for name in ("one", "other"))
    assert one == other
    assert len(one["train.logprobs"]) == len(one["train.ids"]) / 2 > 0


def test_batches_have_the_types_that_losses_take(tmp_path: Path) -> None:
    splits, _ = prepare(tmp_path, of_several_lengths(), method="topk_kd")
    batch = AnswerCollator(splits, TOKENIZER.pad_token_id, packing=False)([splits["train"].dataset[0]])
    assert [batch[name].dtype for name in NAMES] == [torch.int64, torch.int64, torch.float32, torch.int64, torch.float32]
