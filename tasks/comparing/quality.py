"""Quality by task type: every metric with its interval, and the student against baseline and teacher."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.comparing.items import Items
from tasks.comparing.likeness import compare_with_teacher
from tasks.metrics import CORPUS_METRICS
from tasks.metrics.corpus_tests import randomisation_p_value
from tasks.metrics.intervals import NOTHING, Interval, resampled, wilson
from tasks.metrics.kappa import cohen_kappa
from tasks.metrics.non_inferiority import judge_retained, required_items
from tasks.metrics.paired_tests import difference_p_value, holm
from tasks.metrics.score_intervals import difference_interval, gap_closed_interval, mean_interval, ratio_interval
from tasks.renderers.schema import OPPONENTS, ModelName, Opponent, Preference, Rates, TaskReport
from tasks.task_types import TASK_TYPES, TaskType


def compare_tasks(
    items: Items, preferences: Mapping[Opponent, Mapping[str, Preference]], min_retained: float
) -> list[TaskReport]:
    """Return the quality of each task type.

    Args:
        items: All test items.
        preferences: What a judge prefers, by whom the student is compared with and by task type.
        min_retained: Share of the teacher's score that the gate asks for.
    """
    by_task = items.by_task()
    p_values = _adjusted({task: _p_values(TASK_TYPES[task], chosen.scored) for task, chosen in by_task.items()})
    return [
        _compare_task(
            TASK_TYPES[task],
            chosen,
            p_values[task],
            {opponent: found[task] for opponent, found in preferences.items() if task in found},
            min_retained,
        )
        for task, chosen in by_task.items()
    ]


def compare_scores(scored: Items) -> dict[str, Interval]:
    """Return ``retained``, ``gap_closed`` and ``improvement`` of items that have a primary score; unknown if there are none."""
    if not len(scored):
        return {"retained": NOTHING, "gap_closed": NOTHING, "improvement": NOTHING}
    student, baseline, teacher = (scored.scores[model] for model in ("student", "baseline", "teacher"))
    return {
        "retained": ratio_interval(student, teacher),
        "gap_closed": gap_closed_interval(student, baseline, teacher),
        "improvement": difference_interval(student, baseline),
    }


def _compare_task(
    task: TaskType, items: Items, p_values: dict[str, float], preferences: dict[Opponent, Preference], min_retained: float
) -> TaskReport:
    scored = items.scored
    overall = compare_scores(scored)
    return TaskReport(
        task=task.name,
        items=len(items),
        metric=task.metric,
        metrics=_metrics(task, scored),
        rates={
            model: Rates(**{name: wilson(int(flags.sum()), len(flags)) for name, flags in flaws.items()})
            for model, flaws in items.flaws.items()
        },
        retained=overall["retained"],
        gap_closed=overall["gap_closed"],
        improvement=overall["improvement"],
        agreement=None if task.is_open else wilson(sum(_same(task, items)), len(items)),
        kappa=_kappa(items) if task.is_closed else None,
        likeness=compare_with_teacher(items) if task.is_open else {},
        p_values=p_values,
        required_items=_required_items(scored, min_retained),
        preferences=preferences,
    )


def _metrics(task: TaskType, scored: Items) -> dict[str, dict[ModelName, Interval]]:
    """Return the metrics of single answers, the primary one first, then those of the whole set."""
    if not len(scored):
        return {}
    others = [name for name, _ in scored.rows["teacher"][0]["scores"] if name != task.metric]
    found: dict[str, dict[ModelName, Interval]] = {
        name: {model: mean_interval(np.array([dict(row["scores"])[name] for row in rows])) for model, rows in scored.rows.items()}
        for name in (task.metric, *others)
    }
    for name in task.corpus_metrics:
        found[name] = _of_each(
            scored, lambda answers, references, name=name: resampled(answers, references, CORPUS_METRICS[name])
        )
    return found


def _of_each(scored: Items, function: Callable[[list[str | None], list[list[str]]], Interval]) -> dict[ModelName, Interval]:
    references = [row["references"] for row in scored.rows["teacher"]]
    return {model: function([row["answer"] for row in rows], references) for model, rows in scored.rows.items()}


def _p_values(task: TaskType, scored: Items) -> dict[str, float]:
    """Return p-values of the student's difference to each opponent, by what it is compared with."""
    if not len(scored):
        return {}
    found: dict[str, float] = {
        opponent: difference_p_value(scored.scores["student"], scored.scores[opponent]) for opponent in OPPONENTS
    }
    references = [row["references"] for row in scored.rows["teacher"]]
    answers = {model: [row["answer"] for row in rows] for model, rows in scored.rows.items()}
    for name in task.corpus_metrics:
        for opponent in OPPONENTS:
            found[f"{opponent} in {name}"] = randomisation_p_value(
                answers["student"], answers[opponent], references, CORPUS_METRICS[name]
            )
    return found


def _adjusted(p_values: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return p-values that hold for all tasks together: of each comparison over the tasks that it was made in."""
    adjusted: dict[str, dict[str, float]] = {task: {} for task in p_values}
    for comparison in dict.fromkeys(name for found in p_values.values() for name in found):
        over_tasks = holm({task: found[comparison] for task, found in p_values.items() if comparison in found})
        for task, value in over_tasks.items():
            adjusted[task][comparison] = value
    return adjusted


def _same(task: TaskType, items: Items) -> list[bool]:
    pairs = zip(items.rows["student"], items.rows["teacher"], strict=True)
    return [_is_same(task, student["answer"], teacher["answer"]) for student, teacher in pairs]


def _is_same(task: TaskType, one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and task.same(one, other)


def _kappa(items: Items) -> float | None:
    return cohen_kappa(*([row["answer"] for row in items.rows[model]] for model in ("student", "teacher")))


def _required_items(scored: Items, min_retained: float) -> int | None:
    if not len(scored) or not scored.scores["teacher"].any():
        return None
    student, teacher = scored.scores["student"], scored.scores["teacher"]
    undecided = judge_retained(student, teacher, min_retained) == "inconclusive"
    return required_items(student, teacher, min_retained) if undecided else None
