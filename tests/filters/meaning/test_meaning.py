"""Rows compared by meaning: semantic duplicates and diversity, with the embeddings of a tiny random model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import DataError, SettingsError
from tasks.filters import Candidate, FilterContext
from tasks.filters.diversity import DiversitySettings, reject_least_diverse
from tasks.filters.meaning.cells import cells_of
from tasks.filters.meaning.row_vectors import RowVectors
from tasks.filters.meaning.token_table import token_table
from tasks.filters.semantic_duplicate import SemanticDuplicateSettings, reject_semantic_duplicates
from tests.filters.candidates import Rows, asked
from tests.models import tiny_model


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> FilterContext:
    return FilterContext(labels=("yes", "no"), student_weights=tiny_model(tmp_path_factory.mktemp("student")))


def texts(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))
    return [" ".join("".join(random.choice(letters, 5)) for _ in range(12)) for _ in range(count)]


def turned(text: str) -> str:
    """Return the same words in another order, which makes the same vector."""
    return " ".join(reversed(text.split(" ")))


def duplicates(rows: Rows, context: FilterContext, **settings: Any) -> list[int]:
    found = reject_semantic_duplicates(SemanticDuplicateSettings(mode="drop", **settings), context)(rows)
    return found.rejected["semantic_duplicate"].tolist()


def test_a_row_with_the_same_words_in_other_order_goes_and_the_better_one_stays(tmp_path: Path, context: FilterContext) -> None:
    rows = [asked(f"{place}", "?", text) for place, text in enumerate(texts(8))]
    rows.append(asked("again", "?", turned(rows[3].completion)))

    assert duplicates(Rows(rows, tmp_path, judge_score=[5.0] * 8 + [4.0]), context) == [8]
    assert duplicates(Rows(rows, tmp_path, judge_score=[4.0] * 8 + [5.0]), context) == [3]


def test_answers_to_one_prompt_and_rows_of_different_labels_are_not_compared(tmp_path: Path, context: FilterContext) -> None:
    text = texts(1)[0]
    samples = [asked("a", "?", text), asked("a", "?", turned(text), sample_index=1)]
    labelled = [asked("b", text, "yes", "CLASSIFICATION"), asked("c", turned(text), "no", "CLASSIFICATION")]

    assert duplicates(Rows(samples, tmp_path), context) == []
    assert duplicates(Rows(labelled, tmp_path), context, min_cosine=0.5) == []


def test_rows_that_all_look_alike_end_the_run_instead_of_leaving_one(tmp_path: Path, context: FilterContext) -> None:
    rows = [asked(f"{place}", "?", text) for place, text in enumerate(texts(120))]

    with pytest.raises(DataError, match="of rows drawn at random, one pair in a hundred has a cosine of"):
        duplicates(Rows(rows, tmp_path), context, min_cosine=0.1)


def test_without_a_student_the_filter_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no student"):
        duplicates(Rows([asked("a", "?", "b")], tmp_path), FilterContext())


def test_of_many_rows_the_most_different_stay(tmp_path: Path, context: FilterContext) -> None:
    few = texts(4)
    rows: list[Candidate] = [asked(f"{place}-{text[:5]}", "?", text) for text in few for place in range(5)]
    rows.append(asked("held", "?", few[0], split="validation"))
    found = reject_least_diverse(DiversitySettings(mode="drop", keep=4), context)(Rows(rows, tmp_path))
    kept = set(range(21)) - set(found.rejected["not_diverse"].tolist())

    assert {rows[number].completion for number in kept if number < 20} == set(few)
    assert len(kept) == 5
    assert 20 in kept


def test_no_token_directions_are_shared_by_all(tmp_path: Path, context: FilterContext) -> None:
    assert context.student_weights is not None
    table = token_table(context.student_weights)

    assert table.shape[1] == 32 - 8
    assert np.abs(table.mean(axis=0)).max() < 1e-6


def test_cells_part_groups_and_keep_every_row_once() -> None:
    random = np.random.default_rng(0)
    groups = random.normal(size=(3, 16))
    which = random.integers(0, 3, 12_000)
    vectors = groups[which] / np.linalg.norm(groups, axis=1)[which][:, None] + random.normal(0, 0.02, (12_000, 16))
    rows = RowVectors(vectors.astype(np.float16), random.permutation(12_000).astype(np.uint64))
    cells = list(cells_of(rows, np.arange(12_000)))

    assert sorted(np.concatenate(cells).tolist()) == list(range(12_000))
    assert len(cells) == 3
