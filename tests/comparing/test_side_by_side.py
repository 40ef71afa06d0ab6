"""Completions side by side: the student's losses first, every task in turn, nothing personal."""

from tasks.comparing.side_by_side import show_side_by_side
from tests.comparing.models import answered, make_items, prompt


def test_those_where_the_student_fails_and_the_teacher_does_not_come_first() -> None:
    prompts = [prompt(number, "MATH", "4") for number in range(4)]
    items = make_items(prompts, {"teacher": [1.0, 0, 1, 1], "baseline": [0.0] * 4, "student": [1.0, 1, 0, 1]})

    shown = show_side_by_side(items, most=3)
    assert [item.id for item in shown] == ["item 00002", "item 00000", "item 00003"]
    assert shown[0].completions == {"teacher": "4", "baseline": "wrong", "student": "wrong"}
    assert shown[0].scores == {"teacher": 1.0, "baseline": 0.0, "student": 0.0}
    assert show_side_by_side(items, most=0) == []


def test_no_task_takes_the_place_of_all_others() -> None:
    prompts = [prompt(number, "MATH" if number < 50 else "NLU_QA", "4") for number in range(60)]
    items = make_items(prompts, {"teacher": [1.0] * 60, "baseline": [0.0] * 60, "student": [0.0] * 50 + [1.0] * 10})

    assert [item.task for item in show_side_by_side(items, most=6)] == ["MATH"] * 3 + ["NLU_QA"] * 3


def test_personal_data_is_blacked_out_everywhere() -> None:
    asked = prompt(1, "NLU_QA", "ann@example.com", text="Who is ann@example.com?", author="ann@example.com")
    items = make_items([asked], {model: [1.0] for model in ("teacher", "baseline", "student")})
    items.rows["student"][0] = answered(asked, 0.0, said="It is ann@example.com")

    assert "ann@example.com" not in show_side_by_side(items, most=1)[0].model_dump_json()
