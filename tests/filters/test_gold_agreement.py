"""The gold agreement filter: answers that say the same as a reference, where one is known."""

from tasks.filters import FilterContext
from tests.filters.candidates import answered, look, reasons


def test_values_are_compared_by_value_labels_as_labels_and_any_reference_will_do() -> None:
    rows = [
        answered("The answer is 0.5", task="MATH", references=["1/2"]),
        answered("The answer is 0.6", task="MATH", references=["1/2"]),
        answered("YES.", task="CLASSIFICATION", references=["no", "yes"]),
        answered("perhaps", task="CLASSIFICATION", references=["yes"]),
    ]
    found = look("gold_agreement", rows, FilterContext(labels=("yes", "no")))

    assert [finding.reason for finding in found] == [None, "not_gold", None, "not_gold"]
    assert [finding.scores["gold_agreement"] for finding in found] == [1, 0, 1, 0]


def test_without_a_reference_and_for_open_tasks_nothing_is_said() -> None:
    rows = [answered("9", task="MATH"), answered("Hello", references=["Good day"])]

    assert look("gold_agreement", rows) == [(None, {})] * 2
    assert reasons("gold_agreement", rows, open_tasks=True) == [None, "not_gold"]
