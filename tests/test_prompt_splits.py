"""Every prompt is in one split, and stays in it however the sources grow."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.core.records import PROMPTS, Prompt
from tasks.core.tables import read_table
from tests.prompt_sources import Folder, questions, turns


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def splits(prompts: Iterable[Prompt]) -> dict[str, str]:
    return {prompt["id"]: prompt["split"] for prompt in prompts}


def members(splits: dict[str, str], split: str) -> set[str]:
    return {name for name, its_split in splits.items() if its_split == split}


def test_a_training_row_that_is_also_a_test_or_validation_row_goes(folder: Folder) -> None:
    names = {"train": questions(10), "validation": questions(2, first=8), "test": questions(2, first=9)}
    made = folder.prepare(**{split: [folder.lines(f"{split}.jsonl", rows)] for split, rows in names.items()})
    prompts = list(read_table(made, PROMPTS))
    contents = {split: [turns(prompt)[-1] for prompt in prompts if prompt["split"] == split] for split in names}
    assert contents == {
        "test": ["9 + 1?", "10 + 1?"],
        "validation": ["8 + 1?"],
        "train": [f"{number} + 1?" for number in range(8)],
    }
    assert made.counts == {"train": 8, "validation": 1, "test": 2, "references": 8, "bad_rows": 0, "duplicates": 3}


def test_stable_shares_are_held_out_when_there_is_no_source_for_them(folder: Folder) -> None:
    made = folder.prepare(train=[folder.lines("a.jsonl", questions(2000))], test_fraction=0.2, validation_fraction=0.1)
    assert made.counts["test"] == pytest.approx(400, abs=60)
    assert made.counts["validation"] == pytest.approx(200, abs=45)
    assert made.counts["train"] == 2000 - made.counts["test"] - made.counts["validation"]


def test_a_split_with_a_source_is_not_filled_from_the_training_rows(folder: Folder) -> None:
    train, test = folder.lines("train.jsonl", questions(200)), folder.lines("test.jsonl", questions(5, first=1000))
    made = folder.prepare(train=[train], test=[test], validation_fraction=0)
    assert made.counts == {"train": 200, "validation": 0, "test": 5, "references": 200, "bad_rows": 0, "duplicates": 0}


def test_new_rows_move_no_old_row(folder: Folder) -> None:
    before = splits(folder.prompts(train=[folder.lines("before.jsonl", questions(300))]))
    after = splits(folder.prompts(train=[folder.lines("after.jsonl", [*questions(200, first=5000), *reversed(questions(300))])]))
    assert len(after) == 500
    assert {identifier: after[identifier] for identifier in before} == before


def test_a_larger_validation_share_moves_no_test_row(folder: Folder) -> None:
    source = folder.lines("a.jsonl", questions(300))
    small, large = (splits(folder.prompts(train=[source], validation_fraction=share)) for share in (0.05, 0.3))
    assert members(small, "test") == members(large, "test")
    assert members(small, "validation") < members(large, "validation")


def test_rows_without_a_reference_are_only_trained_on(folder: Folder) -> None:
    unlabelled = [{"prompt": f"what is {number}?"} for number in range(300)]
    prompts = folder.prompts(train=[folder.lines("a.jsonl", [*questions(100), *unlabelled])])
    assert {prompt["split"] for prompt in prompts if not prompt["references"]} == {"train"}
    assert sum(not prompt["references"] for prompt in prompts) == 300


def test_conversations_that_only_a_judge_can_compare_are_held_out_all_the_same(folder: Folder) -> None:
    source = folder.lines("a.jsonl", [{"prompt": f"tell me about {number}"} for number in range(300)])
    made = folder.prepare(train=[source], task="CONVERSATION", reference_field=None)
    assert made.counts["test"] == pytest.approx(30, abs=15)


def test_references_beyond_the_limit_count_as_unlabelled_and_the_choice_is_stable(folder: Folder) -> None:
    source, more = folder.lines("a.jsonl", questions(200)), folder.lines("b.jsonl", list(reversed(questions(200))))

    def labelled(source: str, limit: int) -> set[str]:
        prompts = folder.prompts(train=[source], max_references=limit)
        assert all(prompt["references"] for prompt in prompts if prompt["split"] != "train")
        return {prompt["id"] for prompt in prompts if prompt["split"] == "train" and prompt["references"]}

    assert len(labelled(source, 20)) == 20
    assert labelled(source, 20) == labelled(more, 20)
    assert labelled(source, 20) < labelled(source, 50)
    assert labelled(source, 0) == set()
