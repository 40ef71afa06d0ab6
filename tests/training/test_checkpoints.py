"""Checkpoints: the newest whole one is resumed from; torn ones and those of another training are set aside."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.core.errors import SettingsError, UnsafePathError
from tasks.training.checkpoints.local import newest_checkpoint, seal_checkpoint
from tasks.training.checkpoints.manifest import MANIFEST, CheckpointManifest
from tests.training.checkpoint_folders import IDENTITY, sealed, write_checkpoint


def newest(folder: Path, world_size: int = 1) -> Path | None:
    return newest_checkpoint(folder, IDENTITY, world_size)


def truncate(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(checkpoint: Path) -> None:
    file = checkpoint / "nested/.rng_state.pth"
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    os.utime(file, (0, 0))  # within one tick of the clock this process would take its hash from memory


def lose_the_optimizer(checkpoint: Path) -> None:
    (checkpoint / "optimizer.pt").unlink()


def lose_the_manifest(checkpoint: Path) -> None:
    (checkpoint / MANIFEST).unlink()


def tear_the_manifest(checkpoint: Path) -> None:
    manifest = checkpoint / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:40])


def take_the_manifest_of_another_step(checkpoint: Path) -> None:
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    (checkpoint / MANIFEST).write_text(json.dumps({**manifest, "step": 2}))


def put_a_link_in_place_of_the_model(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint.parent / "elsewhere")
    (checkpoint / "model.safetensors").symlink_to("../elsewhere")


def put_a_link_in_place_of_a_folder(checkpoint: Path) -> None:
    (checkpoint / "nested").rename(checkpoint.parent / "elsewhere")
    (checkpoint / "nested").symlink_to("../elsewhere")


TEARS = [
    (truncate, "model.safetensors has 1349 bytes, wanted 1350"),
    (flip_a_bit, r"nested/.rng_state.pth has the hash [0-9a-f]{16}, wanted [0-9a-f]{16}"),
    (lose_the_optimizer, "optimizer.pt is gone"),
    (lose_the_manifest, "it has no manifest"),
    (tear_the_manifest, "its manifest is not one"),
    (take_the_manifest_of_another_step, "that of step 2, wanted 4"),
    (put_a_link_in_place_of_the_model, "model.safetensors lies behind a symbolic link"),
    (put_a_link_in_place_of_a_folder, "nested/.rng_state.pth lies behind a symbolic link"),
]


def test_a_training_without_checkpoints_starts_from_the_start(tmp_path: Path) -> None:
    assert newest(tmp_path / "checkpoints") is None


def test_the_newest_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    for step in (90, 100, 20):
        sealed(tmp_path, step)
    assert newest(tmp_path) == tmp_path / "checkpoint-100"


def test_a_manifest_names_the_training_and_every_file_with_its_size(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, 2)
    seal_checkpoint(checkpoint, 2, 3, IDENTITY)
    manifest = CheckpointManifest.parse((checkpoint / MANIFEST).read_bytes(), step=2)
    assert (manifest.step, manifest.world_size, manifest.identity) == (2, 3, IDENTITY)
    assert {name: file.size_bytes for name, file in manifest.files.items()} == {
        path.relative_to(checkpoint).as_posix(): path.stat().st_size
        for path in checkpoint.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def test_what_a_seal_vouches_for_is_on_the_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, synced = write_checkpoint(tmp_path, 2), []
    sync, replace = os.fsync, os.replace
    inodes = {path.stat().st_ino for path in (checkpoint, *checkpoint.rglob("*"))}

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def put(source: Path, target: Path) -> None:
        assert inodes | {Path(source).stat().st_ino} <= set(synced)
        replace(source, target)
        synced.clear()

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", put)
    seal_checkpoint(checkpoint, 2, 1, IDENTITY)
    assert synced == [checkpoint.stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize(("tear", "reason"), TEARS)
def test_a_torn_checkpoint_is_set_aside_and_the_one_before_it_is_used(
    tmp_path: Path, tear: Callable[[Path], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    sealed(tmp_path, 2)
    tear(sealed(tmp_path, 4))
    assert newest(tmp_path) == tmp_path / "checkpoint-2"
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
    assert len(list(tmp_path.glob("torn-checkpoint-4-*"))) == 1
    (warning,) = caplog.messages
    assert re.match(f"checkpoint-4 is torn and was set aside: .*{reason}", warning)


def test_when_all_are_torn_the_training_starts_from_the_start(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 2)
    truncate(sealed(tmp_path, 4))
    assert newest(tmp_path) is None


def test_the_same_step_may_be_torn_twice(tmp_path: Path) -> None:
    for _ in range(2):
        write_checkpoint(tmp_path, 4)
        assert newest(tmp_path) is None
    assert len(list(tmp_path.glob("torn-checkpoint-4-*"))) == 2


def test_a_checkpoint_of_another_training_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sealed(tmp_path, 2)
    sealed(tmp_path, 4, identity="another")
    assert newest(tmp_path) == tmp_path / "checkpoint-2"
    assert len(list(tmp_path.glob("foreign-checkpoint-4-*"))) == 1
    assert "checkpoint-4 is foreign" in caplog.text
    assert "of the training 'another', wanted '0123456789abcdef'" in caplog.text


def test_a_checkpoint_of_another_number_of_processes_is_refused_and_kept(tmp_path: Path) -> None:
    sealed(tmp_path, 2)
    with pytest.raises(SettingsError, match=r"written by 1 processes, wanted 2.*set runtime\.processes"):
        newest(tmp_path, world_size=2)
    assert newest(tmp_path) == tmp_path / "checkpoint-2"


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "nested/../../outside", "a//b", ".", "", "a\0b", MANIFEST])
def test_a_manifest_whose_paths_leave_the_checkpoint_is_refused(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = sealed(tmp_path, 2)
    (tmp_path / "outside").write_bytes((checkpoint / "optimizer.pt").read_bytes())
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    manifest["files"][path] = manifest["files"]["optimizer.pt"]
    (checkpoint / MANIFEST).write_text(json.dumps(manifest))
    assert newest(tmp_path) is None
    assert "is not one of a file inside the checkpoint" in caplog.text


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_checkpoint_with_a_symbolic_link_is_not_sealed(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    checkpoint = write_checkpoint(tmp_path, 2)
    (checkpoint / "link").symlink_to(tmp_path / target)
    with pytest.raises(UnsafePathError, match="link lies behind a symbolic link"):
        seal_checkpoint(checkpoint, 2, 1, IDENTITY)
    assert not (checkpoint / MANIFEST).exists()
