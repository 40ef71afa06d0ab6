"""The part of a recipe that names a judge goes with the shipped recipes, and says what a judge cannot be told."""

from pathlib import Path

import pytest

from flows.recipe import load_recipe
from tasks.core.errors import SettingsError

SHIPPED = Path(__file__).parents[2] / "deployments" / "recipes"
JUDGE = SHIPPED / "judging" / "served_judge.yaml"


@pytest.mark.parametrize("recipe", ["endpoint", "self_instruct", "scitldr"])
def test_the_shipped_judge_goes_with_a_recipe(recipe: str) -> None:
    config = load_recipe([SHIPPED / f"{recipe}.yaml", JUDGE])

    assert config.judge is not None and config.judge.by is not None and config.judge.by.endpoint is not None
    assert config.judge.by.endpoint.model == "Qwen/Qwen3-32B"
    assert config.judge.pairing.tasks == ("CONVERSATION", "SUMMARIZATION")
    assert (config.dataset.filters.judge.mode, config.dataset.filters.judge.min_score) == ("drop", 3)


def test_without_a_name_the_teacher_judges() -> None:
    judge = load_recipe(SHIPPED / "quickstart.yaml", ["judge={}"]).judge

    assert judge is not None
    assert judge.by is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("judge.answering={sampling: {structured_output: {regex: a}}}", "a judgement has a form of its own; leave it out"),
        ("judge.answering={prompting: {enable_chain_of_thought: true}}", "leave the chain out"),
        ("judge.answering={only: {values: [MATH]}}", r"judge\.answering\.only: .*leave it out"),
        ("judge.by={model: {source: x}, adaptation: {}}", "a judge is taken as it is; leave it out"),
        ("judge.by={}", "give exactly one of"),
        ("dataset.filters={judge: {mode: drop}}", "nobody judges; give judge, or set it to off"),
    ],
)
def test_what_a_judge_cannot_be_told_is_refused(override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_recipe(SHIPPED / "quickstart.yaml", [override])
