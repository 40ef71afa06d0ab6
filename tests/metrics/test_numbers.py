"""The final value of a solution is found however it is written, and compared by what it is worth."""

import time

import pytest

from tasks.metrics.numbers import final_answer, same_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("He has 3 + 4 = <<3+4=7>>7 apples.\n#### 72", "72"),
        ("#### 1,234", "1234"),
        ("It adds up: 10-5=5.", "5"),
        ("The answer is $1,200.50.", "1200.5"),
        ("She ran -3 miles", "-3"),
        ("Answer: 72 apples", "72"),
        ("It is 8, I thought.\n**Answer: 1/2**", "0.5"),
        ("Answer: I think it is a total of 5 (five)", "5"),
        ("Answer: x = \N{MINUS SIGN}5", "-5"),
        ("so \\boxed{\\frac{1}{2}} and not 3", "0.5"),
        ("so \\boxed{x^{2}+1}.", "x^{2}+1"),
        ("\\boxed{5\\text{ cm}}", "5"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{5", "5"),
        ("thus $\\frac{3}{4}$", "0.75"),
        ("50%", "50"),
        (".5", "0.5"),
        ("1.0", "1"),
        ("2/3", "2/3"),
        ("1e-3", "0.001"),
        ("in 2020, 3 of them", "3"),
    ],
)
def test_the_final_value_is_found(text: str, value: str) -> None:
    assert final_answer(text) == value


@pytest.mark.parametrize("text", ["", "I do not know.", "Answer:", "\\boxed{}"])
def test_a_text_without_a_value_has_none(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("1/2", "0.5"), ("72", "72.00"), ("1,000", "1000"), ("-1/4", "-0.25"), ("Monday", "monday"), ("50%", "50")],
)
def test_equal_values_are_the_same(gold: str, answer: str) -> None:
    assert same_value(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"), [("1/3", "0.33"), ("72", "73"), ("Monday", "Tuesday"), ("5", "Monday"), ("1/0", "2/0")]
)
def test_other_values_are_not(gold: str, answer: str) -> None:
    assert not same_value(gold, answer)


def test_an_enormous_number_takes_no_time() -> None:
    started = time.monotonic()
    assert not same_value("7", final_answer("9e999999999") or "")
    assert not same_value("7", final_answer("\\boxed{1e999999999}") or "")
    assert not same_value("7", final_answer(f"Answer: {'9' * 100_000}") or "")
    assert time.monotonic() - started < 1
