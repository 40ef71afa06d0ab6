"""Fidelity by task: means over tokens, who has which figure, and why there is none."""

from math import e, exp
from pathlib import Path

import pytest

from tasks.comparing.fidelity import add_fidelity, fidelity_caveats, read_fidelity
from tasks.comparing.quality import compare_tasks
from tasks.core.artifact import Artifact, read_record
from tasks.fidelity.rows import FidelityRow
from tasks.renderers.schema import Fidelity, ModelName
from tests.comparing.artifacts import evaluation
from tests.comparing.models import followed, make_items, prompt, right_until, serving

PROMPTS = [prompt(number, "NLI" if number < 20 else "CONVERSATION", "hot" if number < 20 else None) for number in range(40)]


def figures(rows: dict[ModelName, list[FidelityRow]]) -> dict[str, dict[ModelName, Fidelity]]:
    scores: dict[ModelName, list[float]] = {model: right_until(10, 40) for model in ("teacher", "baseline", "student")}
    items = make_items(PROMPTS, scores)
    tasks = add_fidelity(
        compare_tasks(items, {}, min_retained=0.92),
        items,
        {model: {row["id"]: row for row in own} for model, own in rows.items()},
    )
    return {task.task: task.fidelity for task in tasks}


def test_means_are_over_the_tokens_of_a_tasks_answers() -> None:
    student = [followed(asked, 1 + number % 2, 0.3, 1, nats=2.0) for number, asked in enumerate(PROMPTS)]
    found = figures({"student": student})["NLI"]["student"]

    assert found.divergence is not None and found.top1_agreement is not None and found.answer_perplexity is not None
    assert found.divergence.value == pytest.approx(20 * 0.3 / 30)
    assert found.top1_agreement.value == pytest.approx(20 / 30)
    assert found.answer_perplexity.value == pytest.approx(exp(40 / 30))
    assert found.covered == pytest.approx(0.9)
    for each in (found.divergence, found.top1_agreement, found.answer_perplexity):
        assert each.low is not None and each.high is not None and each.low < each.value < each.high


def test_the_teacher_has_perplexities_and_is_not_compared_with_itself() -> None:
    both: dict[ModelName, list[FidelityRow]] = {
        "teacher": [followed(asked, 2, agreeing=2, nats=1.0) for asked in PROMPTS],
        "student": [followed(asked, 2, 0.5, 1, nats=3.0) for asked in PROMPTS],
    }
    found = figures(both)

    teacher = found["NLI"]["teacher"]
    assert (teacher.divergence, teacher.top1_agreement, teacher.covered) == (None, None, None)
    assert teacher.answer_perplexity is not None and teacher.answer_perplexity.value == pytest.approx(exp(0.5))
    assert teacher.reference_perplexity is not None and teacher.reference_perplexity.value == pytest.approx(e)
    assert found["CONVERSATION"]["student"].reference_perplexity is None, "it has no references"


def test_of_a_teacher_with_other_tokens_nothing_is_told_but_how_the_references_fare() -> None:
    apart: dict[ModelName, list[FidelityRow]] = {
        "teacher": [followed(asked, 2, agreeing=2, nats=1.0) for asked in PROMPTS],
        "student": [followed(asked, 0) for asked in PROMPTS],
    }
    found = figures(apart)

    assert list(found["NLI"]) == ["student"]
    assert found["NLI"]["student"].divergence is None
    assert found["NLI"]["student"].reference_perplexity is not None
    assert found["CONVERSATION"] == {}


def test_evaluations_without_such_rows_are_no_obstacle_and_the_reason_is_told(tmp_path: Path) -> None:
    rows = [followed(asked, 1, 0.1, 1) for asked in PROMPTS]
    scores, figures_of = right_until(9, 40), serving(0.1)
    reason = "the teacher acme/large runs behind an endpoint"
    teacher = evaluation(tmp_path, "teacher", PROMPTS, scores, figures_of)
    student = evaluation(tmp_path, "student", PROMPTS, scores, figures_of, fidelity=rows, not_compared=reason)
    evaluations: dict[ModelName, Artifact] = {"teacher": teacher, "student": student}

    assert list(read_fidelity(evaluations)) == ["student"]
    assert fidelity_caveats({"student": read_record(student)}) == [
        f"The student's token probabilities are not compared with the teacher's, for {reason}."
    ]
    assert fidelity_caveats({"student": read_record(teacher)}) == []
