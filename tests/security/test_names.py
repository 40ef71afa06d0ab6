"""What a recipe or a flow's parameter names stays inside the run's store, whoever wrote it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.artifact import RECORD, Artifact, FileEntry, artifact_by_fingerprint, find_artifact, open_file
from tasks.core.caching import Stage, find_finished
from tasks.core.errors import SettingsError
from tasks.core.fingerprint import fingerprint
from tasks.core.storage import open_store
from tasks.report import ReportSettings
from tests.security.stages import BreadSettings

HANDLE: dict[str, Any] = {"kind": "bread", "store": "/store", "fingerprint": fingerprint("bread")}
CLIMBING = ["../../etc", "/etc", "a/../../b", ".hidden", "a b", "", "a\x00b", "a\n"]


@pytest.mark.parametrize("name", CLIMBING)
def test_a_handle_names_a_folder_of_its_store_and_nothing_else(name: str) -> None:
    for field in ("kind", "fingerprint"):
        with pytest.raises(ValidationError):
            Artifact.model_validate({**HANDLE, field: name})
    assert Artifact.model_validate(HANDLE).key == f"bread/{HANDLE['fingerprint'][:16]}"


@pytest.mark.parametrize("name", CLIMBING)
def test_the_name_of_a_report_is_no_path(name: str) -> None:
    with pytest.raises(ValidationError):
        ReportSettings(name=name)


@pytest.mark.parametrize("name", [*CLIMBING, "0123456789abcde", "0123456789abcdeg"])
def test_an_earlier_artefact_is_named_by_a_fingerprint_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no fingerprint"):
        artifact_by_fingerprint(str(tmp_path), "student", name)


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "1a2b/../../../secret", "1a2b/.hidden"])
def test_a_record_that_names_files_elsewhere_is_none(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        FileEntry(path=path, size_bytes=0, sha256="")
    store = open_store(str(tmp_path / "store"))
    made = baked(store.url)
    key = f"{made.key}/{RECORD}"
    record = json.loads(store.read(key))
    record["files"][0]["path"] = path
    store.write(key, json.dumps(record).encode())

    with pytest.raises(ValueError, match="not a plain relative path"):
        open_file(made, "loaf")
    assert find_artifact(store.url, made.kind, made.fingerprint) is None


def test_a_record_of_another_kind_or_fingerprint_is_not_taken(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    made = baked(store.url)
    record = json.loads(store.read(f"{made.key}/{RECORD}"))
    for changed in ({"kind": "cake"}, {"fingerprint": fingerprint("cake")}):
        store.write(f"{made.key}/{RECORD}", json.dumps({**record, **changed}).encode())
        with pytest.raises(SettingsError, match="is of the"):
            artifact_by_fingerprint(store.url, "bread", made.fingerprint)
        assert find_artifact(store.url, "bread", made.fingerprint) is None


def test_a_handle_does_not_take_a_run_to_another_store(tmp_path: Path) -> None:
    stage = Stage("toast", version=1)

    @stage.task
    def toast(settings: BreadSettings, store: str, bread: Artifact, more: dict[str, Artifact]) -> Artifact:
        raise AssertionError

    here, elsewhere = baked(str(tmp_path / "here")), baked(str(tmp_path / "elsewhere"))
    given: dict[str, Any] = {"settings": BreadSettings(), "store": here.store}
    assert find_finished(toast, **given, bread=here, more={"second": here}) is None
    for inputs in ({"bread": elsewhere, "more": {}}, {"bread": here, "more": {"second": elsewhere}}):
        with pytest.raises(SettingsError, match="lies in the store"):
            find_finished(toast, **given, **inputs)


def baked(store: str) -> Artifact:
    """Make an artefact with one file."""
    with Stage("bread", version=1).draft(store, BreadSettings()) as draft:
        (draft.path / "loaf").write_text("rye")
        return draft.publish()
