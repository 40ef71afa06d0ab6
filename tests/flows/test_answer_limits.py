"""Where a recipe sets no limit on answers, the task and the prompting decide how long they may be."""

from typing import Any

import pytest

from flows.config import DistillConfig
from flows.recipe import load_recipe
from tests.flows.test_recipes import QUICKSTART


def config(prompts: dict[str, Any], prompting: dict[str, Any] | None = None, **limits: int) -> DistillConfig:
    """Return a config of these prompts, with no limits or these, for generations and evaluation."""
    values = load_recipe(QUICKSTART).model_dump(mode="json")
    for stage in ("generations", "evaluation"):
        values[stage]["sampling"] = {"max_prompt_tokens": 100}
        if stage in limits:
            values[stage]["sampling"]["max_new_tokens"] = limits[stage]
    values["prompts"] |= prompts
    values["generations"]["prompting"] = prompting or {}
    return DistillConfig.model_validate(values).with_limits()


def limits(made: DistillConfig) -> tuple[int | None, int | None]:
    return made.generations.sampling.max_new_tokens, made.evaluation.sampling.max_new_tokens


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ({"task": "NLI"}, (64, 64)),
        ({"task": "NLU_QA"}, (128, 128)),
        ({"task": "MATH"}, (1024, 1024)),
        ({"task": "custom"}, (512, 512)),
        ({"task": "NLI", "task_field": "kind"}, (1024, 1024)),
    ],
)
def test_the_task_decides_and_of_several_the_one_with_the_longest_answers(
    prompts: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert limits(config(prompts)) == expected


@pytest.mark.parametrize(
    ("prompting", "expected"),
    [({"enable_chain_of_thought": True}, 1024), ({"enable_chain_of_density": True}, 1024), ({"reasoning_parser": "qwen3"}, 8192)],
)
def test_a_teacher_that_is_told_to_reason_gets_room_for_it(prompting: dict[str, Any], expected: int) -> None:
    assert limits(config({"task": "NLI"}, prompting)) == (expected, 64)


def test_what_a_recipe_says_stands() -> None:
    assert limits(config({"task": "MATH"}, generations=7)) == (7, 1024)
    assert limits(config({"task": "MATH"}, evaluation=9)) == (1024, 9)
