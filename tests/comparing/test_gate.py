"""The gate: what is promoted, what is held, what nobody can tell yet, and that each task has to pass by itself."""

import pytest

from tasks.comparing.gate import conclude, judge_student
from tasks.comparing.items import Items
from tasks.comparing.quality import compare_tasks
from tasks.comparing.settings import ReportSettings
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import Condition, ModelName, Preference, Verdict
from tests.comparing.models import answered, make_items, prompt, right_until

NOTHING_SAVED: dict[str, Interval | None] = {"speed_up": None, "memory": None}


def gate(items: Items, preferences: dict[str, Preference] | None = None, **settings: object) -> list[Condition]:
    """Return the conditions that the report's settings lead to."""
    asked = ReportSettings.model_validate(settings)
    tasks = compare_tasks(items, {"teacher": preferences or {}}, asked.min_retained)
    return judge_student(asked, items, tasks, NOTHING_SAVED)


def of_one_task(student: int, items: int = 400, teacher: int = 360) -> Items:
    """Return items of one task that the teacher has mostly right and the student this often."""
    scores: dict[ModelName, list[float]] = {
        "teacher": right_until(teacher, items),
        "baseline": right_until(10, items),
        "student": right_until(student, items),
    }
    return make_items([prompt(number, "MATH", "4") for number in range(items)], scores)


def found(conditions: list[Condition], name: str) -> Condition:
    return next(condition for condition in conditions if condition.name == name)


@pytest.mark.parametrize(("student", "verdict"), [(360, "promote"), (335, "inconclusive"), (280, "hold")])
def test_a_student_is_promoted_held_or_undecided_by_the_whole_interval(student: int, verdict: Verdict) -> None:
    conditions = gate(of_one_task(student))

    decided, reason = conclude(conditions)
    assert decided == verdict
    assert f"{100 * student / 360:.1f} %" in reason and "at least 92 % of the teacher's accuracy" in reason


def test_an_undecided_condition_says_how_many_items_would_tell() -> None:
    assert "items would tell" in found(gate(of_one_task(335)), "quality: MATH").reason
    assert "items would tell" not in found(gate(of_one_task(280)), "quality: MATH").reason


def test_one_task_that_is_lost_is_not_made_up_for_by_another() -> None:
    prompts = [prompt(number, "MATH" if number < 100 else "NLU_QA", "4") for number in range(1_000)]
    scores: dict[ModelName, list[float]] = {
        "teacher": [1.0] * 1_000,
        "baseline": [0.0] * 1_000,
        "student": [0.0] * 50 + [1.0] * 950,  # 95 % of all, half of MATH
    }
    conditions = gate(make_items(prompts, scores))

    assert found(conditions, "quality: NLU_QA").outcome == "pass"
    assert found(conditions, "quality: MATH").outcome == "fail"
    assert conclude(conditions)[0] == "hold"


def test_answers_that_are_none_of_the_kind_hold_a_student_back() -> None:
    items = of_one_task(360)
    items.rows["student"][:60] = [answered(asked, 1.0, said="") for asked in items.prompts[:60]]
    condition = found(gate(items), "invalid answers: MATH")

    assert condition.outcome == "fail"
    assert condition.found.startswith("15.0 % (95 % interval")


def test_a_ceiling_is_told_by_the_interval_and_not_by_the_point() -> None:
    few = of_one_task(36, items=40, teacher=36)

    undecided = found(gate(few), "truncated answers: MATH")
    assert undecided.outcome == "inconclusive", "none of 40 may be 9 % of all"
    assert undecided.reason.endswith("at this rate 73 items would tell")
    assert found(gate(few, max_truncated=0.1), "truncated answers: MATH").outcome == "pass"
    assert not [condition for condition in gate(few, max_truncated=None) if condition.name.startswith("truncated")]


def test_a_student_may_be_cut_off_as_often_as_its_teacher() -> None:
    items = of_one_task(360)
    for model in ("teacher", "student"):
        items.rows[model][:120] = [answered(asked, 1.0, finish_reason="length") for asked in items.prompts[:120]]
    condition = found(gate(items), "truncated answers: MATH")

    assert condition.outcome == "pass"
    assert condition.wanted == "at most 5 % of all answers more than the teacher's 30 %"


def test_speed_and_memory_are_asked_for_only_if_the_settings_say_so() -> None:
    items = of_one_task(360)
    asked = ReportSettings(min_speed_up=2, min_memory_saving=0.5)
    tasks = compare_tasks(items, {}, asked.min_retained)
    saved = {"speed_up": Interval(value=2.2, low=1.9, high=2.5), "memory": Interval(value=0.6)}
    conditions = judge_student(asked, items, tasks, saved)

    assert found(conditions, "speed-up").outcome == "inconclusive"
    assert found(conditions, "memory saved").outcome == "pass"
    assert found(judge_student(asked, items, tasks, NOTHING_SAVED), "memory saved").outcome == "inconclusive"
    assert "speed-up" not in {condition.name for condition in gate(items)}


def conversations(references: bool) -> Items:
    prompts = [prompt(number, "CONVERSATION", "Hello!" if references else None) for number in range(200)]
    return make_items(prompts, {"teacher": [0.5] * 200, "baseline": [0.2] * 200, "student": [0.2] * 200})


def preferred(win_rate: Interval) -> dict[str, Preference]:
    counts = {"items": 200, "unreadable": 0, "wins": 80, "ties": 40, "losses": 80}
    told = {"judge": "acme/judge", "consistent": 0.8, "first_preferred": 0.5, "length_controlled_win_rate": None}
    return {"CONVERSATION": Preference.model_validate({"win_rate": win_rate, **counts, **told})}


@pytest.mark.parametrize("references", [False, True])
def test_conversations_are_decided_by_the_judge_and_not_by_their_likeness_to_a_reference(references: bool) -> None:
    items = conversations(references)
    conditions = gate(items, preferred(Interval(value=0.5, low=0.43, high=0.57)))

    assert "quality: CONVERSATION" not in {condition.name for condition in conditions}
    assert found(conditions, "preference: CONVERSATION").outcome == "pass"
    assert conclude(conditions)[0] == "promote"
    lost = gate(items, preferred(Interval(value=0.3, low=0.25, high=0.35)))
    assert conclude(lost)[0] == "hold"


@pytest.mark.parametrize(("alike", "outcome"), [(160, "pass"), (100, "inconclusive"), (20, "fail")])
def test_conversations_without_references_and_judge_are_decided_by_their_likeness_to_the_teacher(
    alike: int, outcome: str
) -> None:
    items = conversations(references=False)
    items.rows["student"][alike:] = [answered(asked, 0, said="9876") for asked in items.prompts[alike:]]
    conditions = gate(items)
    condition = found(conditions, "likeness to the teacher: CONVERSATION")

    assert "quality: CONVERSATION" not in {condition.name for condition in conditions}
    assert condition.outcome == outcome
    assert condition.wanted == "chrF++ of at least 50 % against the teacher's answers"
    assert condition.found.startswith(f"{100 * alike / 200:.1f} % (95 % interval")
    assert ("name a judge (judge.by), or give references" in condition.reason) == (outcome != "pass")
    assert found(gate(items, min_likeness=0.05), condition.name).outcome == "pass"


def test_a_teacher_that_says_nothing_is_nothing_to_be_like() -> None:
    items = conversations(references=False)
    items.rows["teacher"][:] = [answered(asked, 0, said="") for asked in items.prompts]
    condition = found(gate(items), "likeness to the teacher: CONVERSATION")

    assert (condition.outcome, condition.found) == ("inconclusive", "nothing")


def test_a_teacher_that_has_nothing_right_decides_nothing() -> None:
    condition = found(gate(of_one_task(student=10, teacher=0)), "quality: MATH")

    assert condition.outcome == "inconclusive"
    assert condition.found == "nothing"
    assert "mend the teacher" in condition.reason
