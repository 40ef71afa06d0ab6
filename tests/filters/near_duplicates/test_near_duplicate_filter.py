"""The near duplicate filter: what it says of the rows of a cluster."""

from pathlib import Path

import numpy as np
import pytest

from tasks.filters import FilterContext
from tasks.filters.near_duplicate import NearDuplicateSettings, reject_near_duplicates
from tests.filters.candidates import Rows, asked

QUESTION = "How many times a year was the old copper still in the yard cleaned by the two men"
ANSWER = "Twice a year, by two men who had known it since they were boys and never asked anybody for a wage or a holiday"
ROWS = [
    asked("a", QUESTION, ANSWER),
    asked("b", "What is a wash?", "Beer without hops that goes into the still."),
    asked("c", QUESTION, ANSWER + " either"),
    asked("d", QUESTION, "Nobody knows."),
]


def look(rows: Rows) -> tuple[list[int], dict[str, list[float]], dict]:
    found = reject_near_duplicates(NearDuplicateSettings(), FilterContext())(rows)
    return (
        found.rejected["near_duplicate"].tolist(),
        {name: list(score) for name, score in found.scores.items()},
        dict(found.notes),
    )


def test_of_a_cluster_the_row_with_the_best_judgement_stays(tmp_path: Path) -> None:
    rejected, scores, notes = look(Rows(ROWS, tmp_path, judge_score=[2, 5, 4, 5]))

    assert rejected == [0]
    assert scores["duplicate_similarity"] == pytest.approx([23 / 24, np.nan, 1, np.nan], nan_ok=True)
    assert notes == {"min_similarity": 0.8, "clusters": 1, "largest_cluster": 2}


def test_the_number_of_a_cluster_is_exact_and_depends_on_the_row_that_stays_alone(tmp_path: Path) -> None:
    _, scores, _ = look(Rows(ROWS, tmp_path))
    _, reordered, _ = look(Rows(ROWS[::-1], tmp_path))
    first, other = scores["duplicate_cluster"], reordered["duplicate_cluster"][::-1]

    assert first[0] == first[2] == other[0] == other[2]
    assert first[0] > 2**40
    assert first[0] == int(first[0])


def test_without_rows_nothing_is_found(tmp_path: Path) -> None:
    assert look(Rows([], tmp_path))[0] == []
