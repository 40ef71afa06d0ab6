"""Scores lie on disk, a column a score; rows without one have NaN."""

from pathlib import Path

import numpy as np

from tasks.curating.score_columns import ScoreColumns


def test_scores_come_back_by_row_though_some_rows_have_none(tmp_path: Path) -> None:
    scores = ScoreColumns(tmp_path / "scores")
    scores.append([{}, {}])
    scores.append([{"share": 0.5}, {}, {"share": 0.25, "rank": 1}])
    scores.append([{}])

    assert scores.names == ["rank", "share"]
    np.testing.assert_array_equal(scores.whole("share"), np.array([np.nan, np.nan, 0.5, np.nan, 0.25, np.nan], np.float32))
    np.testing.assert_array_equal(scores.read("rank", 3, 3), np.array([np.nan, 1, np.nan], np.float32))
    np.testing.assert_array_equal(scores.read("unknown", 0, 2), np.array([np.nan, np.nan], np.float32))


def test_a_score_of_all_rows_can_be_put_at_once(tmp_path: Path) -> None:
    scores = ScoreColumns(tmp_path / "scores")
    scores.append([{}, {}])
    scores.put("rank", np.array([2, 1], np.float32))

    np.testing.assert_array_equal(scores.whole("rank"), [2, 1])
