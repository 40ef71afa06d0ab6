"""The case-study table: latency, memory, accuracy kept, cost and concurrent users, and what the student saves of each.

The reference figures are those of the case study that made distillation known as a way to save: 85 % less latency, 95 % less
memory, 92 % of the accuracy, 60 % less cost, 10 times the users.
"""

import json
from collections.abc import Mapping

from tasks.comparing.items import Items
from tasks.core.artifact import Artifact, open_file
from tasks.metrics.intervals import Interval, ratio_of_medians
from tasks.renderers.schema import CaseRow, Costs, ModelName
from tasks.teachers.serving import Serving

_LATENCIES = "latencies.json"


def measure_savings(
    serving: Mapping[ModelName, Serving], evaluations: Mapping[ModelName, Artifact], costs: Costs
) -> dict[str, Interval | None]:
    """Return what the student changes against the teacher; None where a figure of the teacher cannot be known.

    Args:
        serving: Each model's serving figures.
        evaluations: Each model's ``evaluation`` artefact, with the latencies of single requests.
        costs: What requests cost.

    Returns:
        ``latency``, ``memory`` and ``cost``: the share that is saved; of memory, what serving needs (``ServingMemory``).
        ``speed_up`` and ``users``: how many times the teacher's figure. An endpoint's memory, and how many users its machine
        would carry, are not known.
    """
    teacher, student = serving["teacher"], serving["student"]
    seconds = {model: json.loads(open_file(evaluations[model], _LATENCIES).read_bytes()) for model in ("teacher", "student")}
    is_ours = teacher.memory is not None
    return {
        "latency": _saved(ratio_of_medians(seconds["student"], seconds["teacher"])),
        "speed_up": ratio_of_medians(seconds["teacher"], seconds["student"]),
        "memory": _saved_share(_needed_bytes(student), _needed_bytes(teacher)),
        "cost": _saved_cost(costs, teacher, student),
        "users": Interval(value=most_requests(student) / most_requests(teacher)) if is_ours else None,
    }


def tabulate_case_study(
    serving: Mapping[ModelName, Serving], items: Items, retained: Interval, saved: Mapping[str, Interval | None], costs: Costs
) -> list[CaseRow]:
    """Return the table.

    Args:
        serving: Each model's serving figures.
        items: All test items.
        retained: Student's over teacher's score; of a teacher that has none at all nothing can be kept.
        saved: What ``measure_savings`` found.
        costs: What requests cost.
    """
    scored = items.scored
    accuracies: dict[ModelName, float | None] = {
        model: float(scores.mean()) if len(scores) else None for model, scores in scored.scores.items()
    }
    prices: dict[ModelName, float | None] = dict.fromkeys(serving)
    prices |= {"teacher": costs.teacher_per_1k_requests, "student": costs.student_per_1k_requests}
    return [
        CaseRow(
            figure="latency",
            unit="seconds",
            values={model: each.latency_seconds.value for model, each in serving.items()},
            change=saved["latency"],
            reference=0.85,
        ),
        CaseRow(
            figure="memory",
            unit="bytes",
            values={model: _needed_bytes(each) for model, each in serving.items()},
            change=saved["memory"],
            reference=0.95,
        ),
        CaseRow(
            figure="accuracy kept",
            unit="share",
            values=accuracies,
            change=retained if accuracies.get("teacher") else None,
            reference=0.92,
        ),
        CaseRow(figure="cost", unit="money", values=prices, change=saved["cost"], reference=0.60),
        CaseRow(
            figure="concurrent users",
            unit="requests_per_second",
            values={model: most_requests(each) for model, each in serving.items()},
            change=saved["users"],
            reference=10,
        ),
    ]


def most_requests(serving: Serving) -> float:
    """Return the most requests a second that a model answered, under whatever load that was."""
    return max([load.requests_per_second for load in serving.loads], default=serving.items_per_second)


def _needed_bytes(serving: Serving) -> int | None:
    return None if serving.memory is None else serving.memory.total_bytes


def _saved(ratio: Interval) -> Interval:
    low, high = ratio.low, ratio.high
    return Interval(value=1 - ratio.value, low=None if high is None else 1 - high, high=None if low is None else 1 - low)


def _saved_share(ours: float | None, theirs: float | None) -> Interval | None:
    return None if ours is None or not theirs else Interval(value=1 - ours / theirs)


def _saved_cost(costs: Costs, teacher: Serving, student: Serving) -> Interval | None:
    """Return the share of money saved; where no price is known, the share of machine time, as if the machines cost the same."""
    if costs.teacher_per_1k_requests is not None and costs.student_per_1k_requests is not None:
        return _saved_share(costs.student_per_1k_requests, costs.teacher_per_1k_requests)
    return None if teacher.memory is None else _saved_share(teacher.items_per_second, student.items_per_second)
