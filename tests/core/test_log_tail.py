"""What a worker writes in its log is shown while it runs: whole lines, each once, and only those that are meant."""

from pathlib import Path

from tasks.core.process import LogTail


def test_new_lines_are_shown_once_and_when_they_are_whole(tmp_path: Path) -> None:
    log, shown = tmp_path / "worker.log", list[str]()
    tail = LogTail(log, "generations:", shown.append)
    tail()
    assert shown == [], "there is no log yet"

    log.write_text("loading\ngenerations: rows: 1 of 9\ngenerations: rows: 2")
    tail()
    assert shown == ["generations: rows: 1 of 9"]

    with log.open("a") as file:
        file.write(" of 9\nWarning: noise\n")
    tail()
    tail()
    assert shown == ["generations: rows: 1 of 9", "generations: rows: 2 of 9"]
