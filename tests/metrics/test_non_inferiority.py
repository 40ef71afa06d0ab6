"""The gate's quality condition: that students at the limit are not promoted more often than said, and those above it are."""

import numpy as np
import pytest
from scipy.stats import t

from tasks.metrics.non_inferiority import judge_retained, required_items
from tasks.metrics.score_statistic import score_statistic

WANTED = 0.92
TRIALS = 20_000
NOMINAL = 0.025
TOLERATED = NOMINAL + 3 * (NOMINAL * (1 - NOMINAL) / TRIALS) ** 0.5
"""The nominal level and three standard errors of the simulation."""


def promoted(contrast: np.ndarray, counts: np.ndarray, items: int) -> np.ndarray:
    """Return which of many simulated tests promote, by the rule that ``judge_retained`` follows for one."""
    trials = len(contrast)
    statistic = score_statistic(contrast, counts, np.full(trials, -WANTED), np.ones(trials))
    return statistic >= t.ppf(0.975, items - 1)


@pytest.mark.parametrize("items", [40, 100, 300])
@pytest.mark.parametrize("teacher", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("lucky", [0.0, 0.3, 0.7])
def test_of_students_right_at_the_limit_no_more_than_the_nominal_share_is_promoted(
    items: int, teacher: float, lucky: float
) -> None:
    """``lucky``: how often the student is right where the teacher is not, which is what correlates the two."""
    only_student = (1 - teacher) * lucky
    both = WANTED * teacher - only_student
    shares = [both, only_student, teacher - both, 1 - teacher - only_student]
    tables, times = np.unique(np.random.default_rng(11).multinomial(items, shares, size=TRIALS), axis=0, return_counts=True)
    values = np.broadcast_to([1 - WANTED, 1.0, -WANTED, 0.0], tables.shape)

    assert (promoted(values, tables, items) * times).sum() / TRIALS <= TOLERATED


@pytest.mark.parametrize("items", [40, 100, 300])
@pytest.mark.parametrize("losses", ["rare", "frequent"])
def test_graded_students_right_at_the_limit_are_promoted_no_more_often(items: int, losses: str) -> None:
    """A student that loses an answer altogether now and then is the hard case: a t-test would promote up to 29 % of those."""
    generator, trials = np.random.default_rng(12), 3_000
    teacher = generator.beta(8, 2, size=(trials, items))
    kept = WANTED if losses == "rare" else WANTED / 0.97
    student = np.where(generator.random((trials, items)) < kept, teacher, 0)
    if losses == "frequent":
        student *= generator.choice([0.94, 1.0], size=(trials, items))

    share = promoted(student - WANTED * teacher, np.ones(items), items).mean()
    assert share <= NOMINAL + 3 * (NOMINAL * (1 - NOMINAL) / trials) ** 0.5


def test_a_student_above_the_limit_is_promoted_and_one_below_is_not() -> None:
    teacher = np.repeat([1.0, 0.0], [900, 100])

    assert judge_retained(teacher, teacher, WANTED) == "pass"
    assert judge_retained(np.repeat([1.0, 0.0], [830, 170]), teacher, WANTED) == "inconclusive"
    assert judge_retained(np.repeat([1.0, 0.0], [700, 300]), teacher, WANTED) == "fail"


def test_a_teacher_without_a_right_answer_decides_nothing() -> None:
    assert judge_retained(np.ones(50), np.zeros(50), WANTED) == "inconclusive"


def test_a_few_faultless_answers_are_not_enough() -> None:
    assert judge_retained(np.ones(20), np.ones(20), WANTED) == "inconclusive"
    assert judge_retained(np.ones(60), np.ones(60), WANTED) == "pass"


def test_as_many_items_as_are_required_decide_four_times_in_five() -> None:
    teacher = np.repeat([1.0, 0.0], [90, 10])
    student = np.repeat([1.0, 0.0, 1.0, 0.0], [86, 4, 1, 9])
    needed = required_items(student, teacher, WANTED)
    assert judge_retained(student, teacher, WANTED) == "inconclusive"
    assert needed is not None and 100 < needed < 1_000

    tables = np.random.default_rng(13).multinomial(needed, [0.86, 0.01, 0.04, 0.09], size=4_000)
    values = np.broadcast_to([1 - WANTED, 1.0, -WANTED, 0.0], tables.shape)
    assert promoted(values, tables, needed).mean() == pytest.approx(0.8, abs=0.08)


def test_at_the_limit_itself_no_number_of_items_decides() -> None:
    assert required_items(np.repeat([1.0, 0.0], [46, 54]), np.repeat([1.0, 0.0], [50, 50]), WANTED) is None
