"""What engines do once they were measured: fidelity, as Transformers says of both models, and samples for a vote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.records import PREDICTIONS, PROMPTS, SAMPLES, Prompt
from tasks.core.tables import read_table
from tasks.evaluation import EvaluationSettings, evaluate
from tasks.fidelity.plan import NOT_COMPARED
from tasks.fidelity.rows import CANDIDATES, FIDELITY, Candidates, FidelityRow, read_candidates
from tasks.prompts import PromptsSettings, prepare_prompts
from tests.fidelity.following import log_probabilities, rendered
from tests.models import tiny_model
from tests.teaching import teach

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = EvaluationSettings.model_validate(
    {
        "sampling": {"max_new_tokens": 12, "max_prompt_tokens": 60, "dtype": "float32"},
        "samples": 2,
        "sample_temperature": 1.0,
        "latency_requests": 5,
        "load_concurrencies": (),
        "engine": {"max_num_seqs": 4},
    }
)
ROUNDING = 0.01  # of float16, a token


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fidelity")


@pytest.fixture(scope="module")
def prompts(folder: Path) -> Artifact:
    for split in ("train", "test"):
        rows = [{"prompt": f"{split} the still {number}", "answer": f"it runs {number}"} for number in range(6)]
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    sources = {split: (str(folder / f"{split}.jsonl"),) for split in ("train", "test")}
    settings = {**sources, "reference_field": "answer", "validation_fraction": 0, "task": "NLU_QA"}
    return prepare_prompts.fn(settings=PromptsSettings.model_validate(settings), store=str(folder / "store"))


@pytest.fixture(scope="module")
def evaluations(folder: Path, prompts: Artifact) -> tuple[Artifact, Artifact]:
    """The evaluations of a teacher and of a student that has its tokens."""
    given: dict[str, Any] = {"settings": SETTINGS, "store": str(folder / "store"), "prompts": prompts}
    store = folder / "store"
    teacher = evaluate.fn(**given, model=teach(store, tiny_model(folder / "teacher")))
    student = teach(store, tiny_model(folder / "student", layers=1, seed=1))
    return teacher, evaluate.fn(**given, model=student, teacher_evaluation=teacher)


def rows_of(evaluation: Artifact) -> dict[str, FidelityRow]:
    return {row["id"]: row for row in read_table(evaluation, FIDELITY)}


def test_the_teacher_keeps_what_transformers_says_of_its_answers(
    folder: Path, prompts: Artifact, evaluations: tuple[Artifact, Artifact]
) -> None:
    asked: dict[str, Prompt] = {row["id"]: row for row in read_table(prompts, PROMPTS)}
    kept: list[Candidates] = list(read_candidates(open_file(evaluations[0], CANDIDATES)))
    found = rows_of(evaluations[0])
    lengths = {row["id"]: row["completion_tokens"] for row in read_table(evaluations[0], PREDICTIONS)}

    assert {row["key"]: len(row["token_ids"]) for row in kept} == lengths
    for row in kept:
        log_p = log_probabilities(folder / "teacher", rendered(asked[row["key"]]), row["token_ids"])
        wanted = np.take_along_axis(log_p, row["top_ids"].astype(int), axis=1)
        assert np.abs(row["top_logprobs"].astype(float) - wanted).max() < ROUNDING
        assert row["token_ids"] == log_p.argmax(1).tolist() == row["top_ids"][:, 0].tolist()
        assert found[row["key"]]["answer_nats"] == pytest.approx(-log_p.max(1).sum(), abs=len(log_p) * ROUNDING)
        assert found[row["key"]]["divergence_nats"] == 0


def test_the_student_is_compared_along_the_teachers_answers(
    folder: Path, prompts: Artifact, evaluations: tuple[Artifact, Artifact]
) -> None:
    asked: dict[str, Prompt] = {row["id"]: row for row in read_table(prompts, PROMPTS)}
    found = rows_of(evaluations[1])

    assert NOT_COMPARED not in read_record(evaluations[1]).summary
    for row in read_candidates(open_file(evaluations[0], CANDIDATES)):
        prompt, text, own = rendered(asked[row["key"]]), row["token_ids"], found[row["key"]]
        log_p, log_q = (log_probabilities(folder / name, prompt, text) for name in ("teacher", "student"))
        held = [np.take_along_axis(np.exp(each), row["top_ids"].astype(int), axis=1) for each in (log_p, log_q)]
        p, q = (np.column_stack([each, 1 - each.sum(axis=1)]) for each in held)
        assert own["divergence_nats"] == pytest.approx((p * np.log(p / q)).sum(), rel=0.01)
        assert own["agreeing_tokens"] == (log_q.argmax(1) == log_p.argmax(1)).sum()
        assert own["answer_nats"] == pytest.approx(-log_q[np.arange(len(text)), text].sum(), rel=1e-4)


def test_references_are_followed_by_both(folder: Path, prompts: Artifact, evaluations: tuple[Artifact, Artifact]) -> None:
    asked: dict[str, Prompt] = {row["id"]: row for row in read_table(prompts, PROMPTS)}
    for name, evaluation in zip(("teacher", "student"), evaluations, strict=True):
        for key, row in rows_of(evaluation).items():
            prompt = rendered(asked[key])
            text = rendered(asked[key], asked[key]["references"][0])[len(prompt) :]
            log_q = log_probabilities(folder / name, prompt, text)
            assert row["reference_tokens"] == len(text)
            assert row["reference_nats"] == pytest.approx(-log_q[np.arange(len(text)), text].sum(), abs=len(text) * ROUNDING)


def test_samples_of_an_engine_are_not_its_likeliest_answers(evaluations: tuple[Artifact, Artifact]) -> None:
    likeliest = {row["id"]: row["completion"] for row in read_table(evaluations[0], PREDICTIONS)}
    drawn = list(read_table(evaluations[0], SAMPLES))

    assert sorted((row["id"], row["sample_index"]) for row in drawn) == sorted((key, n) for key in likeliest for n in range(2))
    assert {row["completion"] for row in drawn} - set(likeliest.values()), "they are drawn at a temperature"
    assert len({row["completion"] for row in drawn}) > len(likeliest), "and each with a seed of its own"
    assert set(read_record(evaluations[0]).summary["tasks"]["NLU_QA"]["metrics"]) == {"f1", "exact_match", "maj@2"}
