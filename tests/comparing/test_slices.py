"""Slices: which parts of the test there are, how many, and what is told of them."""

from tasks.comparing.slices import slice_items
from tests.comparing.models import make_items, prompt, right_until


def test_items_are_told_apart_by_length_tag_and_label() -> None:
    prompts = [
        prompt(number, "NLI", "yes" if number % 3 else "no", text="?" * (number + 1), source="web" if number < 60 else "book")
        for number in range(90)
    ]
    items = make_items(prompts, {"teacher": [1.0] * 90, "baseline": [0.0] * 90, "student": right_until(60, 90)})
    found = {(each.field, each.value): each for each in slice_items(items)}

    assert list(found)[:3] == [("prompt length", f"{third} third") for third in ("shortest", "middle", "longest")]
    assert set(found) >= {("source", "web"), ("source", "book"), ("label", "yes"), ("label", "no")}
    assert found["source", "web"].items == 60
    assert found["source", "web"].retained.value == 1.0
    assert found["source", "book"].scores["student"].value == 0.0
    assert found["prompt length", "longest third"].retained.value == 0.0


def test_small_parts_and_the_whole_are_left_out_and_the_largest_are_kept() -> None:
    sizes = [10 + number for number in range(30)] + [9]
    prompts = [
        prompt(100 * group + number, "MATH", "4", text="?" * number, group=str(group), language="en")
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    items = make_items(prompts, {model: [1.0] * len(prompts) for model in ("teacher", "baseline", "student")})
    found = slice_items(items)

    assert len(found) == 20
    assert not [each for each in found if each.field == "language"]
    assert [each.items for each in found[3:]] == sorted(sizes, reverse=True)[:17]


def test_without_scores_there_are_no_slices() -> None:
    items = make_items([prompt(1, "CONVERSATION", None)], {model: [0.0] for model in ("teacher", "baseline", "student")})
    assert slice_items(items) == []
