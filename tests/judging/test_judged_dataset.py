"""What a judge scored low is not trained on, and the dataset's record says who judged and how much of it could be read."""

from pathlib import Path

import pytest

from tasks.core.artifact import read_record
from tasks.core.errors import SettingsError
from tasks.core.records import EXAMPLES, REJECTED
from tasks.core.tables import read_table
from tasks.dataset import DatasetSettings, curate
from tasks.judgement import ask_for_scores
from tasks.judging.settings import SCALE, ScoringSettings
from tests.endpoints import Act, ScriptedEndpoint, answer
from tests.generated import generations, row
from tests.judging.judges import by, judge, quoted
from tests.models import tiny_model
from tests.teaching import numbered, prepare, teach


def test_answers_that_are_scored_low_are_rejected(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    judged = by(lambda quotes: 5 if "warm" in quotes["answer"] else 2)
    scripted.act = lambda call: Act(body=answer("?")) if "odd" in quoted(call.prompt)["answer"] else judged(call)
    prompts = prepare(tmp_path / "store", numbered(1))
    answers = generations(prompts, "teacher", [row(said, said) for said in ("it is warm", "no idea", "an odd one")])
    asked = ask_for_scores.fn(settings=ScoringSettings(), store=prompts.store, generations=answers)
    settings = {"filters": {"judge": {"mode": "drop", "min_score": 3}}, "min_examples": 1, "allow_vanished_labels": True}
    dataset = curate.fn(
        settings=DatasetSettings.model_validate(settings),
        store=prompts.store,
        prompts=prompts,
        student=teach(tmp_path / "store", tiny_model(tmp_path / "model")),
        generations=answers,
        judgements=judge(scripted, asked, SCALE),
    )

    assert [each["completion"] for each in read_table(dataset, EXAMPLES)] == ["it is warm", "an odd one"]
    assert [(each["completion"], each["reasons"]) for each in read_table(dataset, REJECTED)] == [("no idea", ["low_judge_score"])]
    assert read_record(dataset).summary["judge"] == {"judge": "judge-1", "scored": 2, "unreadable": 1}


def test_a_filter_without_its_judge_is_refused(tmp_path: Path) -> None:
    prompts = prepare(tmp_path / "store", numbered(1))
    answers = generations(prompts, "teacher", [row("a", "it is warm")])
    settings = DatasetSettings.model_validate({"filters": {"judge": {"mode": "annotate"}}})

    with pytest.raises(SettingsError, match=r"dataset\.filters\.judge\.mode is annotate and nobody judged these answers"):
        curate.fn(settings=settings, store=prompts.store, prompts=prompts, student=prompts, generations=answers)
