"""Quality by task: metrics and comparisons over the right items, agreement, tests corrected over the tasks."""

import pytest

from tasks.comparing.items import Items
from tasks.comparing.quality import compare_scores, compare_tasks
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import ModelName, TaskReport
from tests.comparing.models import make_items, prompt, right_until

LABELS = ("hot", "cold", "mild")


def of_two_tasks() -> Items:
    prompts = [prompt(number, "NLI", LABELS[number % 3]) for number in range(60)]
    prompts += [prompt(60 + number, "MATH", str(number)) for number in range(40)]
    scores: dict[ModelName, list[float]] = {
        "teacher": right_until(45, 60) + right_until(40, 40),
        "baseline": right_until(9, 60) + right_until(0, 40),
        "student": right_until(30, 60) + right_until(38, 40),
    }
    return make_items(prompts, scores)


def by_name(items: Items) -> dict[str, TaskReport]:
    return {task.task: task for task in compare_tasks(items, {}, min_retained=0.92)}


def test_each_task_is_compared_over_its_own_items() -> None:
    tasks = by_name(of_two_tasks())

    assert list(tasks) == ["NLI", "MATH"]
    assert tasks["NLI"].retained.value == pytest.approx(30 / 45)
    assert tasks["NLI"].gap_closed.value == pytest.approx(21 / 36)
    assert tasks["NLI"].improvement.value == pytest.approx(21 / 60)
    assert tasks["MATH"].retained.value == pytest.approx(38 / 40)
    assert compare_scores(of_two_tasks())["retained"].value == pytest.approx(68 / 85)


def test_the_primary_metric_comes_first_and_labels_have_those_of_the_whole_set() -> None:
    tasks = by_name(of_two_tasks())

    assert list(tasks["NLI"].metrics) == ["accuracy", "macro_f1", "mcc"]
    assert tasks["NLI"].metrics["accuracy"]["student"].value == 0.5
    assert tasks["NLI"].metrics["macro_f1"]["student"].value == pytest.approx(2 / 3)  # 10 of 20 of each label, none wrongly
    assert list(tasks["MATH"].metrics) == ["accuracy"]


def test_agreement_counts_valid_answers_that_say_the_same_and_kappa_is_of_labels() -> None:
    tasks = by_name(of_two_tasks())

    assert tasks["NLI"].agreement is not None
    assert tasks["NLI"].agreement.value == pytest.approx(45 / 60)  # 30 right ones, and 15 that say "wrong" both
    assert tasks["NLI"].kappa is not None and 0 < tasks["NLI"].kappa < 1
    assert tasks["MATH"].kappa is None


def test_p_values_hold_for_all_tasks_together() -> None:
    tasks = by_name(of_two_tasks())
    alone = compare_tasks(of_two_tasks().by_task()["MATH"], {}, min_retained=0.92)[0]

    assert alone.p_values["teacher"] == pytest.approx(0.5)  # two items that only the teacher has right: 2 / 2**2
    assert tasks["MATH"].p_values["teacher"] == pytest.approx(0.5), "the larger of two is multiplied by 1"
    assert tasks["NLI"].p_values["teacher"] == pytest.approx(2 * 2 / 2**15)
    assert "baseline in mcc" in tasks["NLI"].p_values and "baseline in mcc" not in tasks["MATH"].p_values


def test_items_are_required_only_where_the_condition_is_undecided() -> None:
    tasks = by_name(of_two_tasks())

    assert tasks["NLI"].required_items is None
    assert tasks["MATH"].required_items is not None and tasks["MATH"].required_items > 40


def test_items_without_a_reference_are_in_no_score() -> None:
    prompts = [prompt(number, "CONVERSATION", "Hello!" if number < 30 else None) for number in range(50)]
    items = make_items(prompts, {"teacher": [0.6] * 50, "baseline": [0.2] * 50, "student": [0.3] * 50})
    task = by_name(items)["CONVERSATION"]

    assert (task.items, task.retained.value, task.agreement) == (50, pytest.approx(0.5), None)
    nothing = by_name(items.where(number >= 30 for number in range(50)))["CONVERSATION"]
    assert (nothing.metrics, nothing.retained, nothing.p_values) == ({}, Interval(value=0.0), {})
