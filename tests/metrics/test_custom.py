"""A metric of the user's own is called if, and only if, its module says that it is one."""

import sys
from pathlib import Path

import pytest

from tasks.core.errors import DataError, SettingsError
from tasks.core.records import Prompt
from tasks.metrics.custom import load_metric, source_digest
from tasks.task_types.custom import custom_type
from tasks.task_types.scoring import score_answer

METRIC = """
from tasks.metrics.custom import metric

def unmarked(answer, references):
    raise AssertionError("never called")

@metric
def length(answer, references):
    return min(len(answer) / 10, 1)

@metric
def broken(answer, references):
    return 7

@metric
def failing(answer, references):
    return references.index(answer) / 10
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_function_that_is_marked_is_called(folder: Path) -> None:
    (folder / "my_metrics").mkdir()
    (folder / "my_metrics" / "__init__.py").touch()
    (folder / "my_metrics" / "lengths.py").write_text(METRIC)

    assert load_metric("my_metrics.lengths:length")("hello", []) == 0.5


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os:system", r"os\.py marks no function with @metric of tasks\.metrics\.custom"),
        ("os.path:exists", "marks no function|no module"),
        ("sys:exit", "there is no module 'sys'"),
        ("no_such_module:f", "there is no module 'no_such_module' in Python .*; install it where the flow runs"),
        ("own_lengths:unmarked", r"names no function that own_lengths marks with @metric"),
        ("own_lengths:absent", r"names no function that own_lengths marks with @metric"),
        ("tasks.metrics.custom:load_metric", r"names no function that tasks\.metrics\.custom marks"),
    ],
)
def test_any_other_function_is_refused(folder: Path, path: str, message: str) -> None:
    (folder / "own_lengths.py").write_text(METRIC)
    with pytest.raises(SettingsError, match=message):
        load_metric(path)


def test_a_module_that_has_no_metric_is_not_even_imported(folder: Path) -> None:
    (folder / "dangerous.py").write_text("raise SystemExit('imported')")
    with pytest.raises(SettingsError, match=r"dangerous\.py marks no function"):
        load_metric("dangerous:f")
    assert "dangerous" not in sys.modules


def test_a_module_that_cannot_be_imported_says_why(folder: Path) -> None:
    (folder / "torn.py").write_text(f"{METRIC}\nimport no_such_library")
    with pytest.raises(SettingsError, match="no_such_library"):
        load_metric("torn:length")


def test_a_metric_that_gives_no_share_is_named(folder: Path) -> None:
    (folder / "off_scale.py").write_text(METRIC)
    with pytest.raises(DataError, match=r"off_scale:broken returned 7 .* wanted a number from 0 to 1"):
        load_metric("off_scale:broken")("a", ["b"])


def test_a_metric_that_raises_is_named_with_the_answer(folder: Path) -> None:
    (folder / "raising.py").write_text(METRIC)
    with pytest.raises(DataError, match=r"raising:failing raised ValueError.* for the answer 'a'; mend the metric"):
        load_metric("raising:failing")("a", ["b"])


def test_an_invalid_answer_is_not_shown_to_a_metric(folder: Path) -> None:
    (folder / "spared.py").write_text(METRIC)
    own = custom_type(load_metric("spared:failing"))
    asked = Prompt(id="a", messages=[], text="?", references=["b"], task="custom", split="test", tags=[])
    assert score_answer(own, asked, [], " ", "stop", 1, failed=False)["scores"] == [("custom", 0.0)]


def test_a_metric_that_was_changed_is_another(folder: Path) -> None:
    (folder / "changing.py").write_text(METRIC)
    before = source_digest("changing:length")
    (folder / "changing.py").write_text(METRIC.replace("10", "20"))
    assert source_digest("changing:length") != before
