"""Rows are streamed: how many are in memory at once changes nothing about what becomes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core import tables
from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.records import ANNOTATIONS, ANSWERED_PROMPTS, EXAMPLES, PROMPTS, REJECTED, with_logprobs
from tasks.core.storage import open_store
from tasks.core.tables import read_table, write_table
from tasks.curating.row_findings import find_here
from tasks.curating.spans import SpanInputs, SpannedRows, filter_span
from tasks.dataset import DatasetSettings, curate
from tasks.filters.settings import FiltersSettings

FILTERS = FiltersSettings.model_validate(
    {
        "length": {"mode": "off"},  # it alone needs a student
        "best_n": {"mode": "drop", "max_answers": 2},
        "pii": {"mode": "redact"},
        "self_consistency": {"mode": "drop", "min_vote_share": 0.3},
    }
)
WIDTH = 2


def answer(number: int) -> dict[str, Any]:
    prompt, sample = divmod(number, 4)
    said = ["It is 7", "So 7.0", "The answer is 8", "Mail jane@still.org: 7"][(number + prompt) % 4]
    return {
        "id": f"{prompt:04d}",
        "messages": [{"role": "user", "content": f"How many are {prompt}?"}] * (1 + prompt % 2),
        "text": None,
        "references": [],
        "task": "MATH",
        "split": "train",
        "tags": [],
        "key": str(number),
        "teacher": "tiny",
        "answer": said if number % 7 else "",
        "reasoning": None,
        "token_ids": [number, 1],
        "finish_reason": "stop" if number % 5 else "length",
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "seed": 0,
        "sample_index": sample,
        "turn": 0,
        "token_logprobs": np.array([-number, -1], np.float16),
        "top_ids": np.full((2, WIDTH), number, np.uint32),
        "top_logprobs": np.zeros((2, WIDTH), np.float16),
    }


def curated(store: Path, spans: int = 0) -> Artifact:
    """Curate in one process, or have so many spans of the rows filtered apart."""
    prompts = Stage("prompts", version=1)
    with prompts.draft(str(store), DatasetSettings()) as draft:
        draft.summary = {"labels": []}
        write_table(draft.path / PROMPTS.file, PROMPTS, [])
        asked = draft.publish()
    table = with_logprobs(ANSWERED_PROMPTS, WIDTH)
    with Stage("generations", version=1).draft(str(store), DatasetSettings(), prompts=asked) as draft:
        write_table(draft.path / table.file, table, map(answer, range(40)))
        generations = draft.publish()
    settings = DatasetSettings(filters=FILTERS, min_keep_ratio=0, min_examples=1)
    inputs: dict[str, Any] = {"prompts": asked, "student": asked, "generations": generations}
    apart = SpanInputs(filters=FILTERS, spans=max(spans, 1), **inputs)

    def work(numbers: Sequence[int]) -> None:
        for number in reversed(numbers):
            filter_span(open_store(str(store)), "partitions/run", number, apart)

    spanned = SpannedRows(open_store(str(store)), "partitions/run", spans, work)
    return curate.fn(settings=settings, store=str(store), **inputs, find_in_rows=spanned if spans else find_here)


def content(dataset: Artifact) -> dict[str, Any]:
    examples = [{**row, **{name: row[name].tolist() for name in ("token_logprobs", "top_ids")}} for row in read_examples(dataset)]
    funnel = [{**step, "seconds": 0} for step in read_record(dataset).summary["funnel"]]
    others = {table.file: list(read_table(dataset, table)) for table in (REJECTED, ANNOTATIONS)}
    return {"examples": [{**row, "top_logprobs": None} for row in examples], "funnel": funnel, **others}


def read_examples(dataset: Artifact) -> list[dict[str, Any]]:
    return list(read_table(dataset, with_logprobs(EXAMPLES, WIDTH)))


def test_batches_of_three_rows_give_the_same_dataset_as_one_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.curating.steps.locate_weights", lambda artifact: tmp_path)
    whole = content(curated(tmp_path / "whole"))
    monkeypatch.setattr(tables, "_BATCH_ROWS", 3)

    assert content(curated(tmp_path / "threes")) == whole
    assert len(whole["annotations.parquet"]) == 40
    assert 0 < len(whole["examples"]) < len(whole["annotations.parquet"])


@pytest.mark.parametrize("spans", [1, 3, 50])
def test_spans_that_others_filter_give_the_same_dataset_as_one_process(
    spans: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.curating.steps.locate_weights", lambda artifact: tmp_path)
    monkeypatch.setattr(tables, "_BATCH_ROWS", 3)

    assert content(curated(tmp_path / "spans", spans)) == content(curated(tmp_path / "here"))


def test_a_redacted_row_has_no_tokens_and_the_others_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.curating.steps.locate_weights", lambda artifact: tmp_path)
    rows = read_examples(curated(tmp_path))
    redacted = [row for row in rows if "[email]" in row["completion"]]

    assert redacted and len(redacted) < len(rows)
    for row in rows:
        number = int(row["id"]) * 4 + row["sample_index"]
        expected = [] if row in redacted else [number, 1]
        assert row["token_ids"] == expected
        assert len(row["top_ids"]) == len(row["token_logprobs"]) == len(expected)
        assert "jane@" not in row["completion"]
