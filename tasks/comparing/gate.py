"""The gate: conditions that a student must be shown to meet before it takes its teacher's place, and what follows from them.

Each condition is judged by its 95 % interval, never by a point: it is met if the whole interval is on the right side, not met
if the whole interval is on the wrong side, else the items are too few to tell. The student is promoted if every condition of
every task type is met. Such an intersection-union test (Berger 1982) errs at most as often as its weakest condition alone, 2.5 %
of the time, so nothing is corrected for the number of conditions; one task that is lost cannot be made up for by another.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from tasks.comparing.items import Items
from tasks.comparing.likeness import LIKENESS
from tasks.comparing.settings import ReportSettings
from tasks.metrics.intervals import NOTHING, Interval, items_to_stay_below
from tasks.metrics.non_inferiority import Outcome, judge_retained
from tasks.metrics.score_intervals import difference_interval
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import bounds, points, share
from tasks.renderers.schema import Condition, Preference, TaskReport, Verdict
from tasks.task_types import TASK_TYPES

Flaw = Literal["invalid", "truncated", "repeated"]
_FLAWS: dict[Flaw, str] = {"invalid": "invalid answers", "truncated": "truncated answers", "repeated": "repetitive answers"}
_JUDGED = {
    "pass": "the whole interval is on the right side",
    "fail": "the whole interval is on the wrong side",
    "inconclusive": "the interval has the limit inside: test more items, or improve the student",
}


def judge_student(
    settings: ReportSettings, items: Items, tasks: Sequence[TaskReport], saved: Mapping[str, Interval | None]
) -> list[Condition]:
    """Return every condition that the settings ask for, judged.

    Args:
        settings: What the verdict asks for.
        items: All test items.
        tasks: The quality of each task type.
        saved: ``speed_up`` of the student and the ``memory`` it saves; None where that cannot be known.
    """
    conditions: list[Condition] = []
    by_task = items.by_task()
    for task in tasks:
        preference = task.preferences.get("teacher")
        if preference is not None:
            conditions.append(_preferred(task.task, preference, settings.win_rate_margin))
        if TASK_TYPES[task.task].needs_references or (preference is None and len(by_task[task.task].scored)):
            conditions.append(_quality(task, by_task[task.task].scored, settings.min_retained))
        elif preference is None:
            conditions.append(_likeness(task, settings.min_likeness))
        for flaw, ceiling in _ceilings(settings).items():
            conditions.append(_form(task, by_task[task.task], flaw, ceiling))
    if settings.min_speed_up is not None:
        wanted = f"at least {settings.min_speed_up:g} times as fast as the teacher"
        conditions.append(_floor("speed-up", wanted, settings.min_speed_up, saved["speed_up"], _factor))
    if settings.min_memory_saving is not None:
        wanted = f"at least {_percent(settings.min_memory_saving)} of the memory that the teacher needs to serve"
        conditions.append(_floor("memory saved", wanted, settings.min_memory_saving, saved["memory"], share))
    return conditions


def conclude(conditions: Sequence[Condition]) -> tuple[Verdict, str]:
    """Return the verdict and why it is so: the conditions that decide it, in words."""
    verdicts: tuple[tuple[Outcome, Verdict], ...] = (("fail", "hold"), ("inconclusive", "inconclusive"))
    for outcome, verdict in verdicts:
        deciding = [condition for condition in conditions if condition.outcome == outcome]
        if deciding:
            return verdict, "; ".join(f"{each.name}: {each.found}, wanted {each.wanted}; {each.reason}" for each in deciding)
    return "promote", "; ".join(f"{each.name}: {each.found}, wanted {each.wanted}" for each in conditions)


def _ceilings(settings: ReportSettings) -> dict[Flaw, float]:
    ceilings: dict[Flaw, float | None] = {
        "invalid": settings.max_invalid,
        "truncated": settings.max_truncated,
        "repeated": settings.max_repeated,
    }
    return {flaw: ceiling for flaw, ceiling in ceilings.items() if ceiling is not None}


def _quality(task: TaskReport, scored: Items, min_retained: float) -> Condition:
    name, wanted = f"quality: {task.task}", f"at least {_percent(min_retained)} of the teacher's {task.metric}"
    outcome = judge_retained(scored.scores["student"], scored.scores["teacher"], min_retained)
    reason = _JUDGED[outcome]
    if task.retained == NOTHING:
        reason = "the teacher has no score above 0, so nothing can be retained of it; mend the teacher first"
        return Condition(name=name, wanted=wanted, found="nothing", outcome=outcome, reason=reason)
    if task.required_items is not None:
        reason += f"; with scores like these about {task.required_items:,} items would tell, four times in five"
    return Condition(name=name, wanted=wanted, found=_shown(task.retained, share), outcome=outcome, reason=reason)


def _likeness(task: TaskReport, floor: float) -> Condition:
    """Judge agreement with the teacher, where there is nothing else to go by: no references, and nobody who compared answers."""
    name, wanted = f"likeness to the teacher: {task.task}", f"chrF++ of at least {_percent(floor)} against the teacher's answers"
    if not task.likeness:
        reason = "the teacher has no valid answer to any test prompt; mend the teacher first"
        return Condition(name=name, wanted=wanted, found="nothing", outcome="inconclusive", reason=reason)
    found = task.likeness[LIKENESS]["student"]
    condition = _judged(name, wanted, _above(found, floor), _shown(found, share))
    if condition.outcome == "pass":
        return condition
    reason = f"{condition.reason}; answers in other words may be as good: name a judge (judge.by), or give references"
    return condition.model_copy(update={"reason": reason})


def _preferred(task: str, preference: Preference, margin: float) -> Condition:
    limit = 0.5 - margin
    return _judged(
        f"preference: {task}",
        f"a win rate of at least {_percent(limit)} against the teacher",
        _above(preference.win_rate, limit),
        _shown(preference.win_rate, share),
    )


def _form(task: TaskReport, items: Items, flaw: Flaw, ceiling: float) -> Condition:
    """Judge how many answers are wrong in form; a student need not be better at it than its teacher."""
    name = f"{_FLAWS[flaw]}: {task.task}"
    teachers: Interval = getattr(task.rates["teacher"], flaw)
    if teachers.value <= ceiling:
        rate: Interval = getattr(task.rates["student"], flaw)
        condition = _judged(name, f"at most {_percent(ceiling)}", _below(rate, ceiling), _shown(rate, share))
        needed = items_to_stay_below(rate.value, ceiling) if condition.outcome == "inconclusive" else None
        if needed is None:
            return condition
        reason = f"the interval has the limit inside: at this rate {needed:,} items would tell"
        return condition.model_copy(update={"reason": reason})
    excess = difference_interval(items.flaws["student"][flaw], items.flaws["teacher"][flaw])
    wanted = f"at most {_percent(ceiling)} of all answers more than the teacher's {_percent(teachers.value)}"
    return _judged(name, wanted, _below(excess, ceiling), _shown(excess, points))


def _floor(name: str, wanted: str, floor: float, found: Interval | None, form: Written) -> Condition:
    if found is None:
        reason = "the teacher runs behind an endpoint, on a machine that nobody sees; leave the setting empty"
        return Condition(name=name, wanted=wanted, found="unknown", outcome="inconclusive", reason=reason)
    return _judged(name, wanted, _above(found, floor), _shown(found, form))


def _judged(name: str, wanted: str, outcome: Outcome, found: str) -> Condition:
    return Condition(name=name, wanted=wanted, found=found, outcome=outcome, reason=_JUDGED[outcome])


def _above(interval: Interval, limit: float) -> Outcome:
    low, high = _ends(interval)
    return "pass" if low >= limit else "fail" if high < limit else "inconclusive"


def _below(interval: Interval, limit: float) -> Outcome:
    low, high = _ends(interval)
    return "pass" if high <= limit else "fail" if low > limit else "inconclusive"


def _ends(interval: Interval) -> tuple[float, float]:
    """Return the bounds; a figure that was measured once, such as memory, is its own."""
    low, high = interval.low, interval.high
    return interval.value if low is None else low, interval.value if high is None else high


def _shown(interval: Interval, form: Written) -> str:
    within = bounds(interval, form)
    return f"{form(interval.value)} (95 % interval {within})" if within else form(interval.value)


def _factor(value: float) -> str:
    return f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
