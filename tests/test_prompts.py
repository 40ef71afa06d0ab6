"""Every row becomes a prompt, or is set aside with its line and reason."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.errors import DataError, SettingsError
from tasks.core.fingerprint import fingerprint
from tasks.core.records import PROMPTS, SPLITS
from tasks.core.storage import open_store
from tasks.core.tables import read_table
from tasks.prompts import BAD_ROWS_FILE, STAGE
from tasks.sources.settings import PromptsSettings
from tests.prompt_sources import Folder, questions


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def bad_rows(artifact: Artifact) -> list[tuple[int, str]]:
    rows = [json.loads(line) for line in open_file(artifact, BAD_ROWS_FILE).read_text().splitlines()]
    return [(row["line"], row["reason"]) for row in rows]


def test_a_row_becomes_a_prompt(folder: Folder) -> None:
    train, test = folder.lines("train.jsonl", questions(1)), folder.lines("test.jsonl", [{"prompt": "a\nü", "answer": " b "}])
    template = {"template": "Question: {prompt}", "system": "Be brief.", "task": "MATH", "validation_fraction": 0}
    for_test, for_training = folder.prompts(train=[train], test=[test], **template)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Question: a\nü"}]
    assert for_test == {
        "id": fingerprint([messages, None])[:16],
        "messages": messages,
        "text": None,
        "references": ["b"],
        "task": "MATH",
        "split": "test",
        "tags": [],
    }
    assert (for_training["references"], for_training["split"]) == (["1"], "train")


def test_a_tag_that_no_row_has_is_an_error(folder: Folder) -> None:
    train, test = folder.lines("train.jsonl", questions(2)), folder.lines("test.jsonl", questions(2, first=9))
    with pytest.raises(SettingsError, match=r"no row has the fields \['subjcet'\] of prompts\.tag_fields"):
        folder.prepare(train=[train], test=[test], tag_fields=["answer", "subjcet"])


def test_a_reference_field_that_no_row_has_is_an_error(folder: Folder) -> None:
    with pytest.raises(SettingsError, match=r"no row has a reference in the field 'anwser' of prompts\.reference_field"):
        folder.prepare(train=[folder.lines("train.jsonl", questions(50))], reference_field="anwser")


def test_rows_may_be_of_several_tasks(folder: Folder) -> None:
    kinds = ["MATH", "NLI", "CLASSIFICATION", "math", None, 7]
    rows = [{**question, "kind": kind} for question, kind in zip(questions(6), kinds, strict=True)]
    test = folder.lines("test.jsonl", rows[:1])
    made = folder.prepare(
        train=[folder.lines("a.jsonl", rows[1:])], test=[test], task_field="kind", validation_fraction=0, max_bad_rows_ratio=0.5
    )
    assert [prompt["task"] for prompt in read_table(made, PROMPTS)] == ["MATH", "NLI", "CLASSIFICATION"]
    assert bad_rows(made) == [(3, "unknown_task"), (4, "unknown_task"), (5, "unknown_task")]


def test_labels_are_the_references_of_the_closed_set_tasks_alone(folder: Folder) -> None:
    rows = [{**question, "kind": kind} for question, kind in zip(questions(3), ["MATH", "NLI", "CLASSIFICATION"], strict=True)]
    test = folder.lines("test.jsonl", [{**questions(1, first=9)[0], "kind": "NLI"}])
    made = folder.prepare(train=[folder.lines("a.jsonl", rows)], test=[test], task_field="kind", validation_fraction=0)
    assert read_record(made).summary["labels"] == ["10", "2", "3"]


def test_every_oddity_is_set_aside_with_its_line_and_reason(folder: Folder) -> None:
    lines: list[tuple[bytes, str | None]] = [
        (b'\xef\xbb\xbf{"id": 1, "prompt": "a byte-order mark", "answer": "x"}', None),
        (b'{"id": 2, "prompt": "\xff", "answer": "x"}', "broken_utf8"),
        (rb'{"id": 3, "prompt": "\ud800", "answer": "x"}', "broken_utf8"),
        (b'{"id": 4, "prompt": "torn', "not_json"),
        (b'{"id": 5, "prompt": ' + b"[" * 3000 + b"]" * 3000 + b"}", "not_json"),
        (b'{"id": 6, "prompt": "a", "answer": NaN}', "not_a_number"),
        (b'["id", 7]', "not_an_object"),
        (b'{"id": 8, "prompt": " \\n", "answer": "x"}', "empty_prompt"),
        (b'{"id": 9, "answer": "x"}', "missing_field"),
        (b'{"id": 10, "prompt": null, "answer": "x"}', "missing_field"),
        (b'{"prompt": "no id", "answer": "x"}', "missing_id"),
        (b'{"id": 12, "prompt": "no reference"}', "missing_reference"),
        (b'{"id": 1, "prompt": "an id once more", "answer": "x"}', "duplicate_id"),
        (b'{"id": 14, "prompt": "a byte-order mark", "answer": "x"}', "duplicate_prompt"),
        (b'{"id": 15, "prompt": "' + b"x" * (5 << 20) + b'"}', "over_long_line"),
        (b'{"id": 16, "prompt": "' + b"x" * 40_000 + b'", "answer": "x"}', "over_long_prompt"),
        (b'{"id": 17, "messages": [{"role": "user"}], "answer": "x"}', "missing_field"),
        (b"", None),
        (b'{"id": 19, "prompt": "the last line is read", "answer": "x"}', None),
    ]
    test = folder.path / "test.jsonl"
    test.write_bytes(b"\n".join(line for line, _ in lines))
    train = folder.lines("train.jsonl", [{"id": "t", **question} for question in questions(1)])
    made = folder.prepare(train=[train], test=[str(test)], id_field="id", task="MATH", max_bad_rows_ratio=1)
    assert bad_rows(made) == [(number, reason) for number, (_, reason) in enumerate(lines, start=1) if reason]
    assert [prompt["id"] for prompt in read_table(made, PROMPTS) if prompt["split"] == "test"] == ["1", "19"]
    assert (made.counts["bad_rows"], made.counts["duplicates"], made.counts["test"]) == (15, 1, 2)
    assert read_record(made).summary["bad_rows"]["broken_utf8"] == 2
    first = json.loads(open_file(made, BAD_ROWS_FILE).read_text().splitlines()[0])
    assert first == {"source": str(test), "line": 2, "reason": "broken_utf8"}


def test_too_many_bad_rows_end_the_run_and_the_first_is_named(folder: Folder) -> None:
    source = folder.lines("train.jsonl", [*questions(97), {}, {}, {}])
    assert folder.prepare(train=[source], max_bad_rows_ratio=0.03).counts["bad_rows"] == 3
    with pytest.raises(DataError, match=r"3 of 100 rows .* 0\.02 .*train\.jsonl, line 98: missing_field") as caught:
        folder.prepare(train=[source], max_bad_rows_ratio=0.02)
    assert "+ 1?" not in str(caught.value)


def test_an_ended_run_leaves_no_artefact(folder: Folder) -> None:
    with pytest.raises(DataError):
        folder.prepare(train=[folder.lines("train.jsonl", [{}])])
    assert open_store(folder.store).keys("prompts") == []


def test_duplicates_do_not_count_as_bad(folder: Folder) -> None:
    source = folder.lines("train.jsonl", questions(50) * 2)
    made = folder.prepare(train=[source], max_bad_rows_ratio=0)
    assert (made.counts["duplicates"], made.counts["bad_rows"]) == (50, 0)
    assert sum(made.counts[split] for split in ("train", "validation", "test")) == 50


def test_a_reference_that_is_none_of_the_labels_given_is_a_bad_row(folder: Folder) -> None:
    rows = [{"prompt": str(number), "answer": number % 3} for number in range(90)]  # numbers are labels too
    source = folder.lines("train.jsonl", rows)
    assert folder.prepare(train=[source], task="NLI", labels=["0", "1", "2"]).counts["bad_rows"] == 0
    with pytest.raises(DataError, match=r"30 of 90 rows .*train\.jsonl, line 3: reference_not_in_labels"):
        folder.prepare(train=[source], task="NLI", labels=["0", "1"])


def test_training_rows_that_are_all_test_rows_are_said_to_be(folder: Folder) -> None:
    source = folder.lines("all.jsonl", questions(5))
    with pytest.raises(DataError, match=r"no train prompts, and 5 rows repeat a prompt .*prompts\.train"):
        folder.prepare(train=[source], test=[source])


def test_only_the_selected_rows_are_taken_and_the_others_are_not_bad(folder: Folder) -> None:
    rows = [{**question, "level": number % 3, "language": "en"} for number, question in enumerate(questions(90))]
    source = folder.lines("a.jsonl", rows)
    made = folder.prepare(train=[source], keep_where={"level": ["0", "2"], "language": ["en"]}, max_bad_rows_ratio=0)
    assert {int(prompt["references"][0]) % 3 for prompt in read_table(made, PROMPTS)} == {1, 0}
    assert sum(made.counts[name] for name in (*SPLITS, "bad_rows", "duplicates")) == 60
    with pytest.raises(DataError, match=r"no train prompts among the rows that prompts\.keep_where takes; give more rows"):
        folder.prepare(train=[source], keep_where={"language": ["English"]})


def test_labels_are_those_of_all_splits_or_those_given(folder: Folder) -> None:
    train = folder.lines("train.jsonl", [{"prompt": str(number), "answer": "ba"[number % 2]} for number in range(100)])
    test = folder.lines("test.jsonl", [{"prompt": "t", "answer": "C."}])
    assert read_record(folder.prepare(train=[train], test=[test], task="CLASSIFICATION")).summary["labels"] == ["C.", "a", "b"]
    given = folder.prepare(train=[train], test=[test], task="NLI", labels=["c", "b", "a"])
    assert read_record(given).summary["labels"] == ["c", "b", "a"]
    assert read_record(folder.prepare(train=[train], test=[test], task="MATH")).summary["labels"] == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_csv_and_parquet_give_the_same_prompts_as_json_lines(folder: Folder, form: str) -> None:
    rows = questions(60)
    other = folder.path / f"rows.{form}"
    if form == "csv":
        with other.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["prompt", "answer"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), other)
    assert folder.prompts(train=[str(other)]) == folder.prompts(train=[folder.lines("rows.jsonl", rows)])


def test_missing_values_of_a_parquet_file_are_set_aside(folder: Folder) -> None:
    rows = [*questions(10), {"prompt": None, "answer": 1}, {"prompt": "no reference", "answer": None}]
    source = folder.path / "test.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    train = folder.lines("train.jsonl", questions(1, first=100))
    made = folder.prepare(train=[train], test=[str(source)], task="MATH", max_bad_rows_ratio=0.5)
    assert bad_rows(made) == [(11, "missing_field"), (12, "missing_reference")]


def test_the_identity_is_the_rows_and_not_where_they_lie(folder: Folder) -> None:
    here = folder.lines("here.jsonl", questions(50))
    there = shutil.copy(here, folder.path / "there.jsonl")
    first, second = PromptsSettings(train=(here,)), PromptsSettings(train=(str(there),))
    assert STAGE.fingerprint(first, {}) == STAGE.fingerprint(second, {})
    folder.lines("there.jsonl", questions(51))
    assert STAGE.fingerprint(first, {}) != STAGE.fingerprint(second, {})
    assert STAGE.fingerprint(first, {}) != STAGE.fingerprint(PromptsSettings(train=(here,), template="Q: {prompt}"), {})


def test_the_same_rows_are_prepared_once(folder: Folder) -> None:
    made = folder.prepare(train=[folder.lines("a.jsonl", questions(50))])
    record = read_record(made)
    assert folder.prepare(train=[folder.lines("b.jsonl", questions(50))]) == made
    assert read_record(made) == record


@pytest.mark.parametrize(
    "wrong", [{"train": []}, {"test_fraction": 0}, {"task": "POETRY"}, {"max_references": -1}, {"max_bad_row_ratio": 0.1}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PromptsSettings.model_validate({"train": ["a.jsonl"], **wrong})


def test_a_source_that_is_not_there_is_named(folder: Folder) -> None:
    with pytest.raises(SettingsError, match=r"there is no file .*gone\.jsonl"):
        folder.prepare(train=[str(folder.path / "gone.jsonl")])


def test_no_test_prompts_are_an_error_with_the_remedy(folder: Folder) -> None:
    with pytest.raises(DataError, match=r"no test prompts; give more rows, or prompts\.test"):
        folder.prepare(train=[folder.lines("a.jsonl", [{"prompt": "unlabelled"}])], task="MATH", reference_field=None)
