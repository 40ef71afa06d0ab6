"""Training on references: what is asked of the stages for a teacher's adaptation and for the control, and when it is refused."""

from pathlib import Path
from typing import Any

import pytest

from flows.config import DistillConfig
from flows.recipe import load_recipe
from flows.references import adapt_teacher, require_references, train_control
from tasks.core.artifact import Artifact
from tasks.core.errors import SettingsError

QUICKSTART = Path(__file__).parents[2] / "deployments" / "recipes" / "quickstart.yaml"


def made(kind: str, number: int, **counts: int) -> Artifact:
    return Artifact(kind=kind, store="memory", fingerprint=f"{number:064x}", counts=counts)


PROMPTS, START, DATASET = made("prompts", 1, train=9, references=4), made("model", 2), made("dataset", 3, train=4)


class RecordedStages:
    """Stages that are not run: what each was asked, by its label."""

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}

    def run(self, stage_flow: Any, stage_task: Any, label: str, *place: Any, **arguments: Any) -> Artifact:
        self.asked[label] = {**arguments, "place": place}
        return made(stage_task.name, 10 + len(self.asked))


@pytest.fixture
def stages() -> Any:
    return RecordedStages()


def recipe(*overrides: str) -> DistillConfig:
    return load_recipe(QUICKSTART, overrides)


def test_the_control_learns_references_from_the_students_start_and_otherwise_as_the_student(stages: Any) -> None:
    config = recipe("student.training.method=topk_kd", "generations.logprobs={top_k: 4}", "placement.training=student-gpu")
    train_control(stages, config, START, PROMPTS, DATASET)
    references, training = stages.asked["references of the control"], stages.asked["control"]

    assert list(stages.asked) == ["references of the control", "control"]
    assert references["prompts"] == PROMPTS
    assert "generations" not in references
    assert training["start"] == START
    assert "teacher" not in training
    assert training["settings"].method == "sft"
    assert training["settings"].model_dump(exclude={"method"}) == config.student.training.model_dump(exclude={"method"})
    assert training["place"] == ("student-gpu", 1)


def test_the_control_has_no_more_rows_than_the_student(stages: Any) -> None:
    train_control(stages, recipe(), START, PROMPTS, made("dataset", 3, train=3))

    assert stages.asked["prompts of the control"]["settings"].max_references == 3
    assert stages.asked["references of the control"]["prompts"].fingerprint != PROMPTS.fingerprint


def test_a_teacher_is_adapted_on_all_references_or_taken_as_it_is(stages: Any) -> None:
    config = recipe("placement.adaptation=student-gpu")
    adapted = adapt_teacher(stages, config, config.teacher, START, PROMPTS)

    assert adapted.kind == "student"
    assert stages.asked["references of the teacher's adaptation"]["prompts"] == PROMPTS
    assert stages.asked["teacher's adaptation"]["settings"] == config.teacher.adaptation
    assert stages.asked["teacher's adaptation"]["place"] == ("student-gpu", 1)
    untouched = recipe("teacher.adaptation=null")
    assert adapt_teacher(stages, untouched, untouched.teacher, START, PROMPTS) == START


def test_training_on_too_few_references_is_refused_before_anything_is_paid_for() -> None:
    few = made("prompts", 1, train=99, references=64)

    require_references(recipe("teacher.adaptation=null"), few)
    require_references(recipe("student.control=true", "dataset.min_examples=4"), PROMPTS)
    require_references(recipe("student.control=true"), made("prompts", 1, train=99, references=65))
    with pytest.raises(
        SettingsError, match=r"teacher\.adaptation, student\.control would train .* 64 of the 99 training prompts .* than the 65"
    ):
        require_references(recipe("student.control=true"), few)


def test_a_control_without_any_reference_kept_is_refused_by_the_recipe() -> None:
    with pytest.raises(SettingsError, match=r"student\.control trains on references, and prompts\.max_references is 0"):
        recipe("student.control=true", "prompts.max_references=0")
