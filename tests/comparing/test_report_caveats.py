"""Caveats: what is told where the comparison is less than fair or whole, and nothing where it is both."""

from pathlib import Path
from typing import Any

from tasks.comparing.caveats import find_caveats
from tasks.core.artifact import Record, read_record
from tasks.renderers.schema import Costs, Curation, ModelName
from tasks.teachers.serving import Serving
from tests.comparing.artifacts import artifact
from tests.comparing.models import answered, make_items, prompt, serving

MODELS: tuple[ModelName, ...] = ("teacher", "baseline", "student")
CURATION = Curation(answers=0, kept=0, funnel=[], examples=[], labels_before={}, labels_after={}, repeated_test_prompts=0)
PRICED = Costs(
    teacher_per_1k_requests=2, student_per_1k_requests=1, distillation=None, break_even_requests=None, machine_seconds={}
)


def caveats(store: Path, temperature: float = 0.0, **changes: Any) -> str:
    """Return the caveats on two items, with some of what they are found in changed."""
    items = make_items([prompt(number, "MATH", "4") for number in range(2)], {model: [1.0, 1.0] for model in MODELS})
    records: dict[ModelName, Record] = {
        model: read_record(artifact(store, "evaluation", "same", {}, temperature=temperature if model == "teacher" else 0.0))
        for model in MODELS
    }
    same: dict[ModelName, Serving] = {model: serving(0.1) for model in MODELS}
    given: dict[str, Any] = {
        "items": items,
        "serving": same,
        "evaluations": records,
        "curation": CURATION,
        "costs": PRICED,
        **changes,
    }
    return " ".join(find_caveats(**given))


def test_a_fair_and_whole_comparison_has_none(tmp_path: Path) -> None:
    assert caveats(tmp_path) == ""


def test_different_number_formats_are_told(tmp_path: Path) -> None:
    mixed = {model: serving(0.1, dtype="bfloat16" if model == "teacher" else "float32") for model in MODELS}
    assert "teacher in bfloat16, baseline in float32, student in float32" in caveats(tmp_path, serving=mixed)


def test_different_settings_are_told_by_their_names(tmp_path: Path) -> None:
    assert "The teacher answered under other settings than the student (temperature)" in caveats(tmp_path, temperature=0.7)


def test_answers_that_never_came_are_told(tmp_path: Path) -> None:
    items = make_items([prompt(1, "MATH", "4")], {model: [1.0] for model in MODELS})
    items.rows["teacher"][0] = answered(items.prompts[0], 0.0, said="", finish_reason="error")
    assert "The teacher gave no answer at all to 1 of 1 test prompts" in caveats(tmp_path, items=items)


def test_prompts_without_a_reference_are_told(tmp_path: Path) -> None:
    items = make_items([prompt(1, "CONVERSATION", None)], {model: [1.0] for model in MODELS})
    assert "1 of 1 test prompts have no reference" in caveats(tmp_path, items=items)


def test_labels_that_the_student_never_saw_are_told(tmp_path: Path) -> None:
    unseen = CURATION.model_copy(update={"labels_unseen": [f"label {number}" for number in range(12)]})
    assert "has a label of these: label 0, label 1, " in caveats(tmp_path, curation=unseen)
    assert "label 9 and 2 more. " in caveats(tmp_path, curation=unseen)


def test_costs_without_prices_are_told_to_be_machine_time(tmp_path: Path) -> None:
    unpriced = PRICED.model_copy(update={"student_per_1k_requests": None})
    assert "machine time saved" in caveats(tmp_path, costs=unpriced)
