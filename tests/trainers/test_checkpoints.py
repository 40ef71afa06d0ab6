"""Checkpoints: the newest whole one is resumed from, torn ones are set aside."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.trainers.checkpoints import MANIFEST, newest_checkpoint, seal_checkpoint


def write_checkpoint(folder: Path, step: int) -> Path:
    """Write what the Trainer writes, as far as names go."""
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "nested").mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", "trainer_state.json", "nested/rng_state.pth"):
        (checkpoint / name).write_bytes(f"{name} at step {step}".encode() * 50)
    return checkpoint


def sealed(folder: Path, step: int) -> Path:
    checkpoint = write_checkpoint(folder, step)
    seal_checkpoint(checkpoint)
    return checkpoint


def truncate(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(checkpoint: Path) -> None:
    file = checkpoint / "nested/rng_state.pth"
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def lose_the_optimizer(checkpoint: Path) -> None:
    (checkpoint / "optimizer.pt").unlink()


def lose_the_manifest(checkpoint: Path) -> None:
    (checkpoint / MANIFEST).unlink()


def tear_the_manifest(checkpoint: Path) -> None:
    manifest = checkpoint / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:40])


def test_a_training_without_checkpoints_starts_from_the_start(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "checkpoints") is None


def test_the_newest_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    for step in (90, 100, 20):
        sealed(tmp_path, step)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


def test_a_manifest_names_every_file_with_its_size(tmp_path: Path) -> None:
    checkpoint = sealed(tmp_path, 2)
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    assert {name: size for name, (size, _) in manifest.items()} == {
        path.relative_to(checkpoint).as_posix(): path.stat().st_size
        for path in checkpoint.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


@pytest.mark.parametrize("tear", [truncate, flip_a_bit, lose_the_optimizer, lose_the_manifest, tear_the_manifest])
def test_a_torn_checkpoint_is_set_aside_and_the_one_before_it_is_used(tmp_path: Path, tear: Callable[[Path], None]) -> None:
    sealed(tmp_path, 2)
    tear(sealed(tmp_path, 4))
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
    assert len(list(tmp_path.glob("torn-checkpoint-4-*"))) == 1


def test_when_all_are_torn_the_training_starts_from_the_start(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 2)
    truncate(sealed(tmp_path, 4))
    assert newest_checkpoint(tmp_path) is None


def test_the_same_step_may_be_torn_twice(tmp_path: Path) -> None:
    for _ in range(2):
        write_checkpoint(tmp_path, 4)
        assert newest_checkpoint(tmp_path) is None
    assert len(list(tmp_path.glob("torn-checkpoint-4-*"))) == 2
