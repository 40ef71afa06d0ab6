"""Answers become examples, or are rejected with every reason; too few end the run before anything is trained."""

import json
from pathlib import Path

import pytest

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.records import ANNOTATIONS, ANSWERED_PROMPTS, EXAMPLES, PROMPTS, REJECTED
from tasks.core.tables import read_table, write_table
from tasks.dataset import DatasetSettings, curate
from tasks.filters.best_n import BestNSettings
from tasks.filters.decontamination import DecontaminationSettings
from tasks.filters.length import LengthSettings
from tasks.filters.near_duplicate import NearDuplicateSettings
from tasks.filters.pii import PiiSettings
from tasks.filters.settings import FiltersSettings
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


def answer_all(prompts: Artifact, tmp_path: Path, answers: list[tuple[str, str]], samples: int = 1) -> Artifact:
    """Return a generations artefact that gives the answers and finish reasons in turn, so many to each prompt."""
    rows = [row for row in read_table(prompts, PROMPTS) if row["split"] == "train"]
    fixed = {"teacher": "tiny", "reasoning": None, "token_ids": [1], "prompt_tokens": 1, "completion_tokens": 1, "seed": 0}
    asked = [(row, sample) for row in rows for sample in range(samples)]
    answered = [
        {**row, **fixed, "sample_index": sample, "turn": 0, "key": row["id"], "answer": answer, "finish_reason": finish}
        for (row, sample), (answer, finish) in zip(asked, answers, strict=True)
    ]
    with Stage("generations", version=1).draft(prompts.store, DatasetSettings(), prompts=prompts) as draft:
        write_table(draft.path / ANSWERED_PROMPTS.file, ANSWERED_PROMPTS, answered)
        return draft.publish()


def test_good_answers_are_kept_and_the_others_carry_all_their_reasons(
    prompts: Artifact, student: Artifact, tmp_path: Path
) -> None:
    answers = [(" yes", "stop")] * 16 + [(" perhaps", "stop"), (" yes", "length"), ("", "stop"), (" no way", "length")]
    generations = answer_all(prompts, tmp_path, answers)
    settings = DatasetSettings(min_examples=1, allow_vanished_labels=True)
    dataset = curate.fn(settings=settings, store=prompts.store, prompts=prompts, student=student, generations=generations)

    assert dataset.counts == {"kept": 16, "rejected": 4, "train": 16, "validation": 0}
    assert {row["completion"] for row in read_table(dataset, EXAMPLES)} == {" yes"}
    assert [row["reasons"] for row in read_table(dataset, REJECTED)] == [
        ["unknown_label"],
        ["finish_length"],
        ["empty", "unknown_label"],
        ["finish_length", "unknown_label"],
    ]
    answered = {(row["id"], row["sample_index"], row["turn"]): row for row in read_table(generations, ANSWERED_PROMPTS)}
    annotations = list(read_table(dataset, ANNOTATIONS))
    assert [answered[row["id"], row["sample_index"], row["turn"]]["answer"] for row in annotations] == [
        text for text, _ in answers
    ]
    assert [row["kept"] for row in annotations] == [True] * 16 + [False] * 4
    assert [dict(row["scores"]).get("gold_agreement") for row in annotations] == [1, 0] * 5 + [None] * 10
    assert [row["reasons"] for row in annotations[:4]] == [[], ["not_gold"], [], ["not_gold"]], "annotated, and kept all the same"


def test_the_funnel_tells_what_each_filter_did_first_and_would_do_alone(
    prompts: Artifact, student: Artifact, tmp_path: Path
) -> None:
    answers = (
        [(" yes", "stop")] * 10 + [(" no", "stop")] * 6 + [(" perhaps", "stop"), (" yes", "length"), ("", "stop"), ("", "length")]
    )
    generations = answer_all(prompts, tmp_path, answers)
    settings = DatasetSettings(min_examples=1)
    dataset = curate.fn(settings=settings, store=prompts.store, prompts=prompts, student=student, generations=generations)
    summary = read_record(dataset).summary
    funnel = {step["filter"]: (step["mode"], step["seen"], step["marginal"], step["independent"]) for step in summary["funnel"]}

    assert funnel["finish_reason"] == ("drop", 20, 2, 2)
    assert funnel["empty"] == ("drop", 20, 1, 2)
    assert funnel["validity"] == ("drop", 20, 1, 3)
    assert funnel["gold_agreement"] == ("annotate", 20, 0, 5)
    assert funnel["exact_duplicate"] == ("drop", 16, 0, 0)
    assert "best_n" not in funnel, "it is off"
    assert (summary["labels_before"], summary["labels_after"]) == ({"yes": 11, "no": 6}, {"yes": 10, "no": 6})
    assert summary["labels_unseen"] == []
    assert summary["contamination"]["held_out"]["test"]["repeated"] == 0
    assert {"reasons": ["unknown_label"], "prompt": "is 16 even?", "completion": "perhaps"} in summary["examples"]


def test_without_a_teacher_the_references_are_the_answers_and_nobody_judges_them_as_a_teacher(
    prompts: Artifact, student: Artifact
) -> None:
    dataset = curate.fn(settings=DatasetSettings(min_examples=1), store=prompts.store, prompts=prompts, student=student)
    rows = list(read_table(dataset, EXAMPLES))

    assert len(rows) == 10
    assert all(row["completion"] == f" {row['references'][0]}" for row in rows)
    looked = {step["filter"] for step in read_record(dataset).summary["funnel"]}
    assert not looked & {"finish_reason", "confidence", "refusal", "gold_agreement", "self_consistency"}
    assert {"empty", "validity", "length"} <= looked


def test_redacted_rows_keep_no_personal_data_anywhere(student: Artifact, tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "I am jane@still.org"}, {"role": "assistant", "content": "Hello jane@still.org"}]
    rows = [{"messages": [*chat, {"role": "user", "content": f"Call me {n}"}], "answer": "I will"} for n in range(3)]
    (tmp_path / "chats.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    prompts = prepare_prompts.fn(
        settings=PromptsSettings(train=(str(tmp_path / "chats.jsonl"),), validation_fraction=0, reference_field="answer"),
        store=str(tmp_path / "store"),
    )
    train = sum(row["split"] == "train" for row in read_table(prompts, PROMPTS))
    generations = answer_all(prompts, tmp_path, [("I call +44 20 7946 0958 now.", "stop")] * train)
    filters = FiltersSettings(
        pii=PiiSettings(mode="redact"),
        length=LengthSettings(mode="off"),
        decontamination=DecontaminationSettings(mode="off"),  # the turns before the last are those of the test prompt
        near_duplicate=NearDuplicateSettings(mode="off"),  # and of each other
    )
    dataset = curate.fn(
        settings=DatasetSettings(filters=filters, min_examples=1),
        store=prompts.store,
        prompts=prompts,
        student=student,
        generations=generations,
    )

    for row in read_table(dataset, EXAMPLES):
        assert row["completion"] == "I call [phone] now."
        assert [message["content"] for message in row["messages"][:2]] == ["I am [email]", "Hello [email]"]
        assert row["token_ids"] == [], "they would tell the number"
    assert dict(next(iter(read_table(dataset, ANNOTATIONS)))["scores"]) == {"pii_email": 2, "pii_phone": 1}


def test_too_few_good_answers_end_the_run_with_reasons_and_examples(prompts: Artifact, student: Artifact, tmp_path: Path) -> None:
    generations = answer_all(prompts, tmp_path, [(" yes", "stop")] * 5 + [(" perhaps", "stop")] * 15)

    with pytest.raises(DataError, match=r"only 5 of 20 answers passed .*min_keep_ratio = 0.5.*'unknown_label': 15.*'perhaps'"):
        curate.fn(settings=DatasetSettings(), store=prompts.store, prompts=prompts, student=student, generations=generations)


def test_too_few_rows_and_a_lost_label_end_the_run(prompts: Artifact, student: Artifact, tmp_path: Path) -> None:
    generations = answer_all(prompts, tmp_path, [(" yes", "stop")] * 18 + [(" no", "length")] * 2)
    inputs = {"store": prompts.store, "prompts": prompts, "student": student, "generations": generations}

    with pytest.raises(DataError, match=r"18 rows are left for training, fewer than the 65 .*what is usual for the task"):
        curate.fn(settings=DatasetSettings(), **inputs)
    with pytest.raises(DataError, match="no row is kept whose answer is 'no'") as lost:
        curate.fn(settings=DatasetSettings(min_examples=1), **inputs)
    rejected = "of 2 such answers rejected for: {'finish_length': 2}; for example 'no' (finish_length)."
    assert rejected in str(lost.value), "what gold_agreement found, which only annotates, rejected none"
    gone = curate.fn(settings=DatasetSettings(min_examples=1, allow_vanished_labels=True), **inputs)
    assert (gone.counts["kept"], read_record(gone).summary["labels_unseen"]) == (18, ["no"])


def test_samples_that_agree_do_not_count_against_the_share(prompts: Artifact, student: Artifact, tmp_path: Path) -> None:
    answers = [(f" {label}", "stop") for number in range(20) for label in 4 * ["no" if number % 2 else "yes"]]
    settings = DatasetSettings(min_keep_ratio=1, min_examples=1)
    generations = answer_all(prompts, tmp_path, answers, samples=4)
    dataset = curate.fn(settings=settings, store=prompts.store, prompts=prompts, student=student, generations=generations)

    assert dataset.counts["kept"] == 20, "of four samples that are the same one is left"


def test_rows_left_out_because_fewer_were_wanted_do_not_count_against_the_share(student: Artifact, tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text("".join(f'{{"prompt": "is {n} even?"}}\n' for n in range(4)))
    (tmp_path / "test.jsonl").write_text('{"prompt": "is 20 even?", "label": "yes"}\n')
    settings = PromptsSettings(
        train=(str(tmp_path / "questions.jsonl"),),
        test=(str(tmp_path / "test.jsonl"),),
        validation_fraction=0,
        reference_field="label",
        task="NLU_QA",
        chat=False,
    )
    prompts = prepare_prompts.fn(settings=settings, store=str(tmp_path / "store"))
    samples = [f" answer {n}" for n in range(5)]
    generations = answer_all(prompts, tmp_path, [(text, "stop") for _ in range(4) for text in samples], samples=5)
    filters = FiltersSettings(best_n=BestNSettings(mode="drop", max_answers=1))
    dataset = curate.fn(
        settings=DatasetSettings(filters=filters, min_keep_ratio=0.9, min_examples=1),
        store=prompts.store,
        prompts=prompts,
        student=student,
        generations=generations,
    )

    assert dataset.counts["kept"] == 4
    assert {row["sample_index"] for row in read_table(dataset, EXAMPLES)} == {0}
