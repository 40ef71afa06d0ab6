"""Balance: no more rows of a kind than its quota, drawn the same way every time, and only among training rows."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import SettingsError
from tasks.filters import Candidate, FilterContext
from tasks.filters.balance import BalanceSettings, reject_surplus
from tests.filters.candidates import Rows, asked

LABELS = FilterContext(labels=("hot", "cold"))


def surplus(folder: Path, rows: list[Candidate], context: FilterContext = LABELS, **settings: Any) -> list[Candidate]:
    """Return the rows that are rejected."""
    found = reject_surplus(BalanceSettings(mode="drop", **settings), context)(Rows(rows, folder))
    return [rows[number] for number in found.rejected["over_quota"]]


def labelled(hot: int, cold: int, **fields: Any) -> list[Candidate]:
    answers = ["hot"] * hot + ["cold"] * cold
    return [asked(f"{number}", "?", answer, "CLASSIFICATION", **fields) for number, answer in enumerate(answers)]


def test_a_label_has_no_more_rows_than_its_quota(tmp_path: Path) -> None:
    gone = surplus(tmp_path, labelled(hot=9, cold=4), max_rows=5)

    assert Counter(row.completion for row in gone) == {"hot": 4}


def test_a_single_label_may_have_a_quota_of_its_own(tmp_path: Path) -> None:
    gone = surplus(tmp_path, labelled(hot=9, cold=9), max_rows=5, quotas={"cold": 2})

    assert Counter(row.completion for row in gone) == {"hot": 4, "cold": 7}


@pytest.mark.parametrize(("by", "quota"), [("label", "Cold"), ("task", "QA")])
def test_a_quota_of_a_kind_that_there_is_not_is_refused(by: Any, quota: str) -> None:
    with pytest.raises(SettingsError, match=rf"quotas has \['{quota}'\], and balance is by {by}, of which there are '"):
        reject_surplus(BalanceSettings(mode="drop", by=by, quotas={quota: 1}), LABELS)


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = labelled(hot=40, cold=0)
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(40)]
    drawn = [{row.id for row in surplus(tmp_path, order, max_rows=20)} for order in (rows, shuffled)]
    other = {row.id for row in surplus(tmp_path, rows, max_rows=20, seed=1)}

    assert drawn[0] == drawn[1] != other


def test_validation_rows_are_left_alone(tmp_path: Path) -> None:
    assert surplus(tmp_path, labelled(hot=9, cold=9, split="validation"), max_rows=5) == []


def test_rows_of_open_tasks_have_no_label_and_are_left_alone(tmp_path: Path) -> None:
    rows = [asked(f"{number}", "?", "hot") for number in range(9)]

    assert surplus(tmp_path, rows, max_rows=5) == []


@pytest.mark.parametrize("by", ["task", "length"])
def test_kinds_of_task_and_length_need_no_labels(tmp_path: Path, by: str) -> None:
    rows = [asked(f"s{number}", "?", "hot", "NLU_QA") for number in range(4)]
    rows += [asked(f"l{number}", "?", "hot " * 40) for number in range(4)]
    gone = surplus(tmp_path, rows, FilterContext(), by=by, max_rows=3)

    assert Counter(row.completion[:4] for row in gone) == {"hot": 1, "hot ": 1}


def test_languages_are_told_apart(tmp_path: Path) -> None:
    english, german = "The still has to be cleaned before it is used", "Der Kessel muss vor dem Gebrauch gereinigt werden"
    rows = [asked(f"{number}", "?", text) for number, text in enumerate([english] * 3 + [german] * 3 + ["12"] * 2)]
    gone = surplus(tmp_path, rows, FilterContext(), by="language", max_rows=9, quotas={"de": 1, "unknown": 0})

    assert Counter(row.completion for row in gone) == {german: 2, "12": 2}


def test_labels_are_asked_for_where_there_are_none() -> None:
    with pytest.raises(SettingsError, match=r"balance\.by is label, and the prompts have no labels"):
        reject_surplus(BalanceSettings(mode="drop"), FilterContext())
