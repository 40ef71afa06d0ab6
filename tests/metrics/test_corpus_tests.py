"""Tests of metrics over a whole set, against sacrebleu's own and against those of single items."""

from typing import Any, cast

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from tasks.metrics import CORPUS_METRICS
from tasks.metrics.corpus_tests import randomisation_p_value

WORDS = np.random.default_rng(2).choice([f"word{number}" for number in range(30)], size=(40, 12)).tolist()
REFERENCES = [" ".join(words[: 5 + number % 8]) for number, words in enumerate(WORDS)]


def spoilt(share: float, seed: int) -> list[str | None]:
    """Return the references with this share of their words replaced."""
    generator = np.random.default_rng(seed)
    return [" ".join(word if generator.random() > share else "x" for word in text.split()) for text in REFERENCES]


def test_bleu_is_tested_as_sacrebleu_tests_it() -> None:
    ours, theirs = spoilt(0.1, seed=3), spoilt(0.15, seed=4)
    systems: Any = [("theirs", theirs), ("ours", ours)]
    _, scores = PairedTest(systems, {"BLEU": BLEU()}, [REFERENCES], test_type="ar", n_samples=2_000, n_jobs=1)()
    expected = cast("Any", scores["BLEU"][1]).p_value

    found = randomisation_p_value(ours, theirs, [[text] for text in REFERENCES], CORPUS_METRICS["bleu"])
    assert found == pytest.approx(expected, abs=0.04)
    assert 0.02 < found < 0.98


def test_labels_that_only_one_model_says_are_no_obstacle() -> None:
    references = [["hot"], ["cold"]] * 30
    ours, theirs = ["hot", "cold"] * 30, ["hot", "mild"] * 30

    assert randomisation_p_value(ours, theirs, references, CORPUS_METRICS["macro_f1"]) < 0.001
    assert randomisation_p_value(ours, ours, references, CORPUS_METRICS["mcc"]) == 1.0


def test_chance_alone_seldom_makes_a_difference() -> None:
    generator = np.random.default_rng(1)
    references = [["hot"], ["cold"]] * 30
    draws = [generator.choice(["hot", "cold"], size=(2, 60)).tolist() for _ in range(40)]
    p_values = [randomisation_p_value(each[0], each[1], references, CORPUS_METRICS["macro_f1"]) for each in draws]
    assert np.mean(np.array(p_values) < 0.05) < 0.15
