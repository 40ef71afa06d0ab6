"""Equal values have equal fingerprints, wherever and whenever they are taken; values without a stable identity are refused."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.core.fingerprint import canonical_json, file_digest, fingerprint, folder_digest


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})


def test_the_order_of_a_list_matters() -> None:
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_a_fingerprint_is_the_same_in_every_process_and_release() -> None:
    assert fingerprint({"a": [1, None, "ü"]}) == "49831c0eb57c0eb0056d765eb012b4c84e79027f9327f39c122ae54c64cc35c6"


def test_canonical_json_is_compact_and_keeps_text_readable() -> None:
    assert canonical_json({"b": (1, 2.5, True), "a": "ü"}) == '{"a":"ü","b":[1,2.5,true]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint({"settings": [number]})


@pytest.mark.parametrize("value", [{1, 2}, frozenset({"a"}), len, object(), b"bytes", Path("/tmp"), {1: "key"}, [{None: 1}]])
def test_a_value_without_a_stable_identity_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        fingerprint({"settings": value})


def test_a_file_digest_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    first = file_digest(file)
    assert first == file_digest(file)
    file.write_text("two")
    assert file_digest(file) != first


def test_a_folder_digest_does_not_depend_on_the_place_or_the_times(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "far" / "there"
    (here / "sub").mkdir(parents=True)
    (here / "config.json").write_text("{}")
    (here / "sub" / "weights").write_bytes(b"\x00\x01")
    shutil.copytree(here, there)
    os.utime(there / "config.json", (0, 0))
    assert folder_digest(here) == folder_digest(there)


def test_a_folder_digest_follows_names_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    first = folder_digest(tmp_path)
    file = file.rename(tmp_path / "b")
    renamed = folder_digest(tmp_path)
    file.write_text("two")
    assert len({first, renamed, folder_digest(tmp_path)}) == 3


def test_a_folder_digest_passes_over_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    first = folder_digest(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "lock").touch()
    assert folder_digest(tmp_path) == first
