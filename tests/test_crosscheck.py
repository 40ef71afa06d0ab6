"""The cross-check: what it takes, what it refuses, and that lm-evaluation-harness finds what our evaluation found."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import crosscheck
from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import SettingsError
from tasks.core.records import PREDICTIONS, PROMPTS
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights
from tasks.crosscheck import check_evaluation, main
from tasks.crosschecking.comparison import FLOAT32_REGRET, compare
from tasks.crosschecking.evaluated import Evaluated, find_evaluations, read_evaluation
from tasks.crosschecking.harness_tasks import READINGS
from tasks.crosschecking.job import HarnessItem, HarnessJob, HarnessResult, Item
from tasks.evaluation import EvaluationSettings, evaluate
from tasks.model import ModelSettings, prepare_endpoint, prepare_model
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tasks.task_types import TASK_TYPES
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.models import tiny_model

ROWS = [
    *({"ask": f"a still is {state}", "gold": "hot", "kind": "NLI"} for state in ("hot", "cold", "clear", "open")),
    *({"ask": f"who opens the tap {n}", "gold": ["someone", "the spirit"], "kind": "NLU_QA"} for n in range(4)),
    *({"ask": f"how many stills {n}", "gold": str(n), "kind": "MATH"} for n in range(4)),
]
SAMPLING = {"max_new_tokens": 6, "max_prompt_tokens": 60, "dtype": "float32"}


def prepare(folder: Path) -> Artifact:
    """Return prompts of three task types; the test rows are those above."""
    train = [{"ask": f"train {n}", "gold": ("hot", "cold")[n], "kind": "NLI"} for n in range(2)]
    for name, rows in (("train", train), ("test", ROWS)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    fields = {"template": "{ask}", "reference_field": "gold", "task_field": "kind", "validation_fraction": 0}
    sources = {name: (str(folder / f"{name}.jsonl"),) for name in ("train", "test")}
    return prepare_prompts.fn(settings=PromptsSettings.model_validate({**sources, **fields}), store=str(folder / "store"))


def plain_model(folder: Path, store: str) -> Artifact:
    """Return a model that is never loaded."""
    (folder / "model").mkdir()
    return prepare_model.fn(settings=ModelSettings(source=str(folder / "model")), store=store)


def evaluation(prompts: Artifact, model: Artifact, planted: float = 0.0, **sampling: Any) -> Artifact:
    """Return an evaluation that nobody ran: all answers are ``hot``, and the score of one NLI item is wrong by ``planted``."""
    rows = [
        {
            "id": row["id"],
            "task": row["task"],
            "completion": "hot",
            "answer": "hot",
            "references": row["references"],
            "scores": [(READINGS[row["task"]].metric, float("hot" in row["references"]))] if row["task"] in READINGS else [],
            "finish_reason": "stop",
            "completion_tokens": 1,
        }
        for row in sorted(read_table(prompts, PROMPTS), key=lambda row: row["id"])
        if row["split"] == "test"
    ]
    first = next(row for row in rows if row["task"] == "NLI")
    first["scores"] = [("accuracy", 1.0 - planted)]
    settings = EvaluationSettings.model_validate({"sampling": SAMPLING | sampling})
    means = {"NLI": {"accuracy": 1.0 - planted / 4}, "NLU_QA": {"exact_match": 0.0}, "MATH": {}}
    with Stage("evaluation", version=1).draft(prompts.store, settings, prompts=prompts, model=model) as draft:
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, rows)
        tasks = {task: {"metrics": metrics} for task, metrics in means.items()}
        draft.summary = {"name": "a model", "tasks": tasks, "serving": {"dtype": "float32"}}
        return draft.publish()


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    return prepare(tmp_path)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that says what our evaluation says, and scores it itself."""

    def run(module: str, job_file: Path, *_: Any, **__: Any) -> None:
        assert module == "tasks.crosschecking.harness"
        job = HarnessJob.model_validate_json(job_file.read_bytes())
        found = {
            item.id: HarnessItem(
                same_prompt=True,
                completion=item.completion,
                score=None if item.score is None else float(item.completion in item.references),
                regret=0,
            )
            for item in job.items
        }
        result = HarnessResult(version="0", items=found, means={"NLI": 1.0, "NLU_QA": 0.0})
        job.result.write_text(result.model_dump_json(), encoding="utf-8")

    monkeypatch.setattr(crosscheck, "run_worker", run)


def test_an_evaluation_that_the_harness_agrees_with_ends_with_status_0_and_a_table(
    tmp_path: Path, prompts: Artifact, harness: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([evaluation(prompts, plain_model(tmp_path, prompts.store)).uri]) == 0
    shown = capsys.readouterr().out.splitlines()

    assert [line.split() for line in shown[1:]] == [
        ["a", "model", "MATH", "4", "4", "0", "-", "-"],
        ["a", "model", "NLI", "4", "4", "0", "1.0000", "1.0000"],
        ["a", "model", "NLU_QA", "4", "4", "0", "0.0000", "0.0000"],
        ["no", "disagreement"],
    ]


def test_a_planted_wrong_score_ends_with_status_1_and_is_named(
    tmp_path: Path, prompts: Artifact, harness: None, capsys: pytest.CaptureFixture[str]
) -> None:
    made = evaluation(prompts, plain_model(tmp_path, prompts.store), planted=1.0)
    report = tmp_path / "report.json"
    report.write_text(
        json.dumps({"lineage": {"artifacts": {"student_evaluation": made.model_dump(), "prompts": prompts.model_dump()}}})
    )

    assert main([str(report)]) == 1
    shown = capsys.readouterr().out
    assert "a model: NLI: another score for 1 of 4 items" in shown
    assert "a model: NLI: our mean is 0.7500 and the harness's 1.0000" in shown


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"temperature": 0.7}, "sampling.temperature = 0.7, wanted 0"),
        ({"structured_output": {"labels": True}}, "sampling.structured_output = .*, wanted None"),
        ({"repetition": {}}, "sampling.repetition = .*, wanted None"),
    ],
)
def test_answers_that_the_harness_could_not_give_are_refused(
    tmp_path: Path, prompts: Artifact, sampling: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        read_evaluation(evaluation(prompts, plain_model(tmp_path, prompts.store), **sampling), limit=9)


def test_what_has_no_weights_or_is_no_evaluation_is_refused(prompts: Artifact) -> None:
    endpoint = prepare_endpoint.fn(
        settings=EndpointSettings(url="http://127.0.0.1:1/v1", model="acme/large"), store=prompts.store
    )

    with pytest.raises(SettingsError, match="is the evaluation of an endpoint, whose weights are not here"):
        find_evaluations(evaluation(prompts, endpoint).uri)
    with pytest.raises(SettingsError, match=r"is no report\.json and no STORE/evaluation/FINGERPRINT"):
        find_evaluations(prompts.uri)
    with pytest.raises(SettingsError, match=r"no report\.json \(FileNotFoundError"):
        find_evaluations("missing.json")


def half_right(found: Evaluated) -> Evaluated:
    """Return an evaluation whose references are such that a random model's answer to every other item was right."""
    items = [_rescored(item, right=bool(place % 2)) for place, item in enumerate(sorted(found.items, key=lambda item: item.task))]
    scores = {task: [item.score for item in items if item.task == task] for task in found.means}
    return replace(
        found, items=items, means={task: sum(score or 0 for score in all_) / len(all_) for task, all_ in scores.items()}
    )


def _rescored(item: Item, right: bool) -> Item:
    if item.task not in READINGS:
        return item
    references = ["something else", item.completion.strip() if right else "or nothing"]
    task = TASK_TYPES[item.task]
    answer = task.read(item.completion, references)
    score = 0.0 if answer is None else task.score(answer, references)[READINGS[item.task].metric]
    return item.model_copy(update={"references": references, "score": score})


@pytest.mark.slow
def test_the_harness_finds_in_float32_what_we_found_and_a_planted_wrong_score_too(tmp_path: Path, prompts: Artifact) -> None:
    model = prepare_model.fn(settings=ModelSettings(source=str(tiny_model(tmp_path / "tiny"))), store=prompts.store)
    settings = EvaluationSettings.model_validate({"sampling": SAMPLING, "latency_requests": 5, "engine": {"max_num_seqs": 4}})
    made = evaluate.fn(settings=settings, store=prompts.store, prompts=prompts, model=model)
    found = half_right(read_evaluation(made, limit=len(ROWS)))
    workspace = tmp_path / "harness"
    workspace.mkdir()
    comparisons = check_evaluation(found, locate_weights(model), "float32", workspace)

    assert found.is_float32
    assert [(each.task, each.items, each.undecided, each.problems) for each in comparisons] == [
        ("MATH", 4, (), []),
        ("NLI", 4, (), []),
        ("NLU_QA", 4, (), []),
    ]
    assert [(each.ours, each.theirs) for each in comparisons] == [(None, None), (0.5, 0.5), (0.5, 0.5)]

    result = HarnessResult.model_validate_json((workspace / "result.json").read_bytes())
    wrong = next(item for item in found.items if item.score == 1)
    items = [item.model_copy(update={"score": 0.0}) if item.id == wrong.id else item for item in found.items]
    assert [each.other_scores for each in compare(items, result, found.means, FLOAT32_REGRET) if each.problems] == [(wrong.id,)]
