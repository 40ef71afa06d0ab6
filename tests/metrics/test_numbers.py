"""The final value of a solution is found however it is written, and compared by what it is worth."""

import time

import pytest

from tasks.metrics.final_answer import final_answer
from tasks.metrics.numbers import same_value


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
        ("It took -\\frac{1}{2} of it", "-0.5"),
        ("It took 2\\frac{1}{2} hours", "2.5"),
        ("\\boxed{-2\\frac{1}{2}}", "-2.5"),
        ("Answer: 1 1/2", "1.5"),
        ("Answer: 17 18", "18"),
        ("Answer: 1 000 000", "1000000"),
        ("\\boxed{1{,}234}", "1234"),
        ("Answer: \\(\\frac{1}{2}\\).", "0.5"),
        ("Answer:\n\\[\n5\n\\]", "5"),
        ("Answer: 72\n\nI am 90% sure, after 3 tries.", "72"),
        ("#### 72\n\nQuestion: Tom has 5 apples", "72"),
        ("Answer: 3x", "3x"),
        ("\\boxed{1,-2}", "1,-2"),
        ("Answer: 7:30", "7:30"),
        ("\\boxed{\\begin{pmatrix}\n1\\\\2\n\\end{pmatrix}}", "\\begin{pmatrix} 1\\\\2 \\end{pmatrix}"),
    ],
)
def test_the_final_value_is_found(text: str, value: str) -> None:
    assert final_answer(text) == value


@pytest.mark.parametrize("formula", ["x^2+3", "\\frac{\\sqrt{3}}{2}", "(1, 2)", "2\\pi", "$x^2$", "1,-2"])
def test_a_formula_by_itself_is_the_value_and_not_its_last_number(formula: str) -> None:
    assert final_answer(formula) == formula.strip("$")


@pytest.mark.parametrize("text", ["", "I do not know.", "Answer:", "\\boxed{}"])
def test_a_text_without_a_value_has_none(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1/2", "0.5"),
        ("72", "72.00"),
        ("1,000", "1000"),
        ("-1/4", "-0.25"),
        ("Monday", "monday"),
        ("50%", "50"),
        ("1,-2", "-2, 1"),
    ],
)
def test_equal_values_are_the_same(gold: str, answer: str) -> None:
    assert same_value(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("1/3", "0.33"), ("72", "73"), ("Monday", "Tuesday"), ("5", "Monday"), ("1/0", "2/0"), ("1,2", "3,2"), ("2 1/2", "21/2")],
)
def test_other_values_are_not(gold: str, answer: str) -> None:
    assert not same_value(gold, answer)


def test_an_enormous_number_takes_no_time() -> None:
    started = time.monotonic()
    assert not same_value("7", final_answer("9e999999999") or "")
    assert not same_value("7", final_answer("\\boxed{1e999999999}") or "")
    assert not same_value("7", final_answer(f"Answer: {'9' * 100_000}") or "")
    assert time.monotonic() - started < 1
