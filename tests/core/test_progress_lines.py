"""What a worker counts is shown by the process that started it, with the time that the worker took."""

from pathlib import Path

import pytest

from tasks.core.progress_lines import LineProgress, ProgressReader


class Board:
    """Notes what is shown on it."""

    shown: list[tuple[str, int, int, bool]]

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total

    def move_to(self, done: int, seconds: float | None = None) -> None:
        self.shown.append((self._what, done, self._total, seconds is not None and seconds > 0))


@pytest.fixture
def shown() -> list[tuple[str, int, int, bool]]:
    Board.shown = []
    return Board.shown


def test_counts_are_shown_as_they_come_and_the_last_one_always(tmp_path: Path, shown: list[tuple[str, int, int, bool]]) -> None:
    look = ProgressReader(tmp_path / "progress", Board)
    look()
    items = LineProgress(tmp_path / "progress", "items", 3)
    items.advance()
    look()
    assert shown == [("items", 1, 3, True)]

    items.advance()  # too soon after the line before
    items.advance()
    LineProgress(tmp_path / "progress", "requests", 1).advance()
    look()
    look()
    assert shown[1:] == [("items", 3, 3, True), ("requests", 1, 1, True)]


def test_what_an_earlier_attempt_wrote_is_not_shown_again(tmp_path: Path, shown: list[tuple[str, int, int, bool]]) -> None:
    LineProgress(tmp_path / "progress", "items", 1).advance()
    ProgressReader(tmp_path / "progress", Board)()

    assert shown == []
