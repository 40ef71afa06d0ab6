"""Copies of checkpoints in a store, for tests."""

import json
import os
from pathlib import Path

from tasks.core.storage import Store
from tasks.training.checkpoints.local import newest_checkpoint
from tasks.training.checkpoints.mirror import CheckpointMirror
from tests.training.checkpoint_folders import IDENTITY, sealed

PREFIX = "checkpoints/0123456789abcdef"


def mirror_of(store: Store, folder: Path, identity: str = IDENTITY) -> CheckpointMirror:
    return CheckpointMirror(store, PREFIX, folder, identity)


def mirrored(store: Store, folder: Path, *steps: int, identity: str = IDENTITY) -> CheckpointMirror:
    """Write checkpoints and copy each before the next."""
    mirror = mirror_of(store, folder, identity)
    for step in steps:
        sealed(folder, step, identity)
        mirror.note_new()
        mirror.flush(30)
    return mirror


def restored(store: Store, folder: Path) -> Path | None:
    mirror_of(store, folder).restore()
    return newest_checkpoint(folder, IDENTITY, 1)


def key(step: int) -> str:
    return f"{PREFIX}/checkpoint-{step:08d}.json"


def blob_of(store: Store, step: int, name: str) -> str:
    return f"{PREFIX}/blobs/{json.loads(store.read(key(step)))['files'][name]['sha256']}"


def manifests(store: Store) -> list[str]:
    return [found for found in store.keys(PREFIX) if found.startswith(f"{PREFIX}/checkpoint-")]


def snapshots(folder: Path) -> list[str]:
    """The files that are kept for uploads beside a folder of checkpoints."""
    return [name for _, _, names in os.walk(folder.with_name("checkpoints.mirror")) for name in names]


def is_idle(mirror: CheckpointMirror, folder: Path) -> bool:
    """Look as the process that watches the training does, and tell whether nothing waits or is uploaded."""
    mirror.note_new()
    return not snapshots(folder)
