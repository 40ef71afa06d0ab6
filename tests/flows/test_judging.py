"""The judge in a run: its stages are started where a recipe asks for them, found again, and left out elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.config import DistillConfig
from flows.dispatch import Stages
from flows.judging import compare_models, score_answers
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tasks.judging.preference import read_preferences
from tasks.judging.scoring import judge_scores
from tasks.model import prepare_endpoint
from tests.endpoints import ScriptedEndpoint, run_scripted_endpoint
from tests.generated import generations, row
from tests.judging.judges import by, evaluated, longer
from tests.recipes import tiny_recipe
from tests.teaching import numbered, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def scripted() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    return prepare(tmp_path / "store", numbered(20), test=(), test_fraction=0.4)


def judged_by(scripted: ScriptedEndpoint, prompts: Artifact, folder: Path, *overrides: str) -> tuple[DistillConfig, Artifact]:
    """Return a run's settings with the scripted endpoint as the judge, and the judge."""
    endpoint = f"{{url: '{scripted.url}', model: judge-1}}"
    settings = [f"store={prompts.store}", f"judge={{by: {{endpoint: {endpoint}}}}}", *overrides]
    config = load_recipe(tiny_recipe(folder), settings)
    assert config.judge is not None and config.judge.by is not None and config.judge.by.endpoint is not None
    return config, prepare_endpoint.fn(settings=config.judge.by.endpoint, store=config.store)


def test_a_students_answers_are_compared_once_and_found_again(
    tmp_path: Path, prompts: Artifact, scripted: ScriptedEndpoint, prefect_server: None
) -> None:
    scripted.act = by(longer)
    config, judge = judged_by(scripted, prompts, tmp_path)
    evaluations = {
        "teacher_evaluation": evaluated(prompts, "teacher", lambda _: "an answer"),
        "baseline_evaluation": evaluated(prompts, "baseline", lambda _: "the longest answer of all of them"),
        "student_evaluation": evaluated(prompts, "student", lambda _: "an answer that is longer"),
    }
    found = [compare_models(Stages(config.store, config.recovery), config, judge, prompts, evaluations) for _ in range(2)]

    assert found[0] is not None and found[0] == found[1]
    won = read_preferences(found[0])
    assert {opponent: set(by_task["CONVERSATION"].scores.values()) for opponent, by_task in won.items()} == {
        "teacher": {1.0},
        "baseline": {0.0},
    }
    assert len(scripted.calls) == 2 * 2 * len(won["teacher"]["CONVERSATION"].scores)


def test_the_teachers_answers_are_scored_for_the_filter_alone(
    tmp_path: Path, prompts: Artifact, scripted: ScriptedEndpoint, prefect_server: None
) -> None:
    scripted.act = by(lambda quotes: 4)
    answers = generations(prompts, "teacher", [row("a", "it is warm"), row("b", "it is cool")])
    off, judge = judged_by(scripted, prompts, tmp_path)
    on, _ = judged_by(scripted, prompts, tmp_path, "dataset.filters.judge={mode: drop}")

    assert score_answers(Stages(off.store, off.recovery), off, judge, answers) is None
    judgements = score_answers(Stages(on.store, on.recovery), on, judge, answers)
    assert judgements is not None
    assert len(judge_scores(judgements)) == len(scripted.calls) == 2


def test_where_no_test_prompt_is_to_be_compared_nobody_is_asked(
    tmp_path: Path, prompts: Artifact, scripted: ScriptedEndpoint, prefect_server: None
) -> None:
    config, judge = judged_by(scripted, prompts, tmp_path, "judge.pairing={tasks: [SUMMARIZATION]}")
    evaluations = {f"{name}_evaluation": evaluated(prompts, name, lambda _: "x") for name in ("teacher", "baseline", "student")}

    assert compare_models(Stages(config.store, config.recovery), config, judge, prompts, evaluations) is None
    assert compare_models(Stages(config.store, config.recovery), config, None, prompts, evaluations) is None
    assert scripted.calls == []
