"""The metrics of closed sets equal scikit-learn's on answers drawn at random, invalid ones among them."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, matthews_corrcoef

from tasks.metrics.kappa import cohen_kappa
from tasks.metrics.macro_f1 import macro_f1
from tasks.metrics.mcc import mcc


def drawn(seed: int, labels: int, items: int = 300) -> tuple[list[str], list[str]]:
    """Return references, skewed, and answers that are right half of the time."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet([1.0] * labels)
    wanted = generator.choice(labels, items, p=shares)
    said = np.where(generator.random(items) < 0.5, wanted, generator.choice(labels, items))
    return [f"label {label}" for label in wanted], [f"label {label}" for label in said]


@pytest.mark.parametrize("labels", [2, 3, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_they_equal_scikit_learns(seed: int, labels: int) -> None:
    wanted, said = drawn(seed, labels)
    accepted = [[label] for label in wanted]

    assert macro_f1(said, accepted) == pytest.approx(f1_score(wanted, said, average="macro", labels=sorted(set(wanted))))
    assert mcc(said, accepted) == pytest.approx(matthews_corrcoef(wanted, said))
    assert cohen_kappa(said, wanted) == pytest.approx(cohen_kappa_score(wanted, said))


def test_an_invalid_answer_is_a_label_that_nobody_wants() -> None:
    wanted, said = drawn(3, 4)
    broken = [None if item % 5 == 0 else answer for item, answer in enumerate(said)]
    named = ["invalid" if answer is None else answer for answer in broken]
    accepted = [[label] for label in wanted]

    assert macro_f1(broken, accepted) == pytest.approx(f1_score(wanted, named, average="macro", labels=sorted(set(wanted))))
    assert mcc(broken, accepted) == pytest.approx(matthews_corrcoef(wanted, named))
    assert cohen_kappa(broken, wanted) == pytest.approx(cohen_kappa_score(wanted, named))


def test_of_several_accepted_labels_any_is_right() -> None:
    assert macro_f1(["b", "c"], [["a", "b"], ["c"]]) == 1


def test_who_always_says_the_same_has_no_correlation_and_no_kappa() -> None:
    assert mcc(["a"] * 4, [["a"], ["a"], ["b"], ["b"]]) == 0
    assert cohen_kappa(["a"] * 4, ["a"] * 4) is None


def test_a_draw_of_items_is_scored_by_its_sums() -> None:
    wanted, said = drawn(4, 3)
    accepted = [[label] for label in wanted]
    picks = np.random.default_rng(5).integers(0, len(said), len(said))
    again = [said[item] for item in picks], [accepted[item] for item in picks]

    for metric in (macro_f1, mcc):
        sums = metric.statistics(said, accepted)[picks].sum(axis=0, keepdims=True)
        assert metric.score(sums)[0] == pytest.approx(metric(*again))
