"""Answers become examples, or are rejected with every reason; too few end the run before anything is trained."""

import json
from pathlib import Path

import pytest

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.records import ANSWERED_PROMPTS, EXAMPLES, PROMPTS, REJECTED
from tasks.core.tables import read_table, write_table
from tasks.dataset import DatasetSettings, curate
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tests.models import tiny_model


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    """Twenty questions, half of them with a reference, whose labels are yes and no."""
    rows = [{"prompt": f"is {n} even?", **({"label": "no" if n % 2 else "yes"} if n < 10 else {})} for n in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "test.jsonl").write_text('{"prompt": "is 20 even?", "label": "yes"}\n')
    settings = PromptsSettings(
        train=(str(tmp_path / "train.jsonl"),),
        test=(str(tmp_path / "test.jsonl"),),
        validation_fraction=0,
        task="CLASSIFICATION",
        chat=False,
        reference_field="label",
    )
    return prepare_prompts.fn(settings=settings, store=str(tmp_path / "store"))


@pytest.fixture
def student(tmp_path: Path) -> Artifact:
    return prepare_model.fn(settings=ModelSettings(source=str(tiny_model(tmp_path / "model"))), store=str(tmp_path / "store"))


def answer_all(prompts: Artifact, tmp_path: Path, answers: list[tuple[str, str]]) -> Artifact:
    """Return a generations artefact that gives the answers and finish reasons in turn."""
    rows = [row for row in read_table(prompts, PROMPTS) if row["split"] == "train"]
    fixed = {"teacher": "tiny", "reasoning": None, "token_ids": [1], "prompt_tokens": 1, "completion_tokens": 1, "seed": 0}
    place = {"sample_index": 0, "turn": 0}
    answered = [
        {**row, **fixed, **place, "key": row["id"], "answer": answer, "finish_reason": finish}
        for row, (answer, finish) in zip(rows, answers, strict=True)
    ]
    with Stage("generations", version=1).draft(prompts.store, DatasetSettings(), prompts=prompts) as draft:
        write_table(draft.path / ANSWERED_PROMPTS.file, ANSWERED_PROMPTS, answered)
        return draft.publish()


def test_good_answers_are_kept_and_the_others_carry_all_their_reasons(
    prompts: Artifact, student: Artifact, tmp_path: Path
) -> None:
    answers = [(" yes", "stop")] * 16 + [(" perhaps", "stop"), (" yes", "length"), ("", "stop"), (" no way", "length")]
    generations = answer_all(prompts, tmp_path, answers)
    dataset = curate.fn(
        settings=DatasetSettings(), store=prompts.store, prompts=prompts, student=student, generations=generations
    )

    assert dataset.counts == {"kept": 16, "rejected": 4, "train": 16, "validation": 0}
    assert {row["completion"] for row in read_table(dataset, EXAMPLES)} == {" yes"}
    assert [row["reasons"] for row in read_table(dataset, REJECTED)] == [
        ["unknown_label"],
        ["finish_length"],
        ["empty", "unknown_label"],
        ["finish_length", "unknown_label"],
    ]


def test_without_a_teacher_the_references_are_the_answers(prompts: Artifact, student: Artifact) -> None:
    dataset = curate.fn(settings=DatasetSettings(), store=prompts.store, prompts=prompts, student=student)
    rows = list(read_table(dataset, EXAMPLES))

    assert len(rows) == 10
    assert all(row["completion"] == f" {row['references'][0]}" for row in rows)


def test_too_few_good_answers_end_the_run_with_the_reasons(prompts: Artifact, student: Artifact, tmp_path: Path) -> None:
    generations = answer_all(prompts, tmp_path, [(" yes", "stop")] * 5 + [(" perhaps", "stop")] * 15)

    with pytest.raises(DataError, match=r"only 5 of 20 answers passed .*min_keep_ratio = 0.5.*'unknown_label': 15"):
        curate.fn(settings=DatasetSettings(), store=prompts.store, prompts=prompts, student=student, generations=generations)
