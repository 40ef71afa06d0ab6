"""Checkpoints that can be trusted: each has a manifest, written last, with the size and hash of every file in it.

The Trainer writes its files in place and takes the newest folder for whole: a torn one poisons every retry, and one without
optimizer state silently trains something else. So only checkpoints that are whole and that this very training wrote are
resumed from.
"""

import logging
import os
import re
import uuid
from pathlib import Path
from typing import Literal

from tasks.core.errors import DataError, SettingsError, UnsafePathError
from tasks.core.fingerprint import file_digest
from tasks.core.storage import sync_to_disk
from tasks.training.checkpoints.manifest import MANIFEST, CheckpointFile, CheckpointManifest, fault_of, file_inside

_STAGED = f".{MANIFEST}"
_FOLDER = re.compile(r"checkpoint-(0|[1-9]\d*)")
_logger = logging.getLogger("potstill")


def seal_checkpoint(checkpoint: Path, step: int, world_size: int, identity: str) -> None:
    """Write a finished checkpoint's manifest; a sealed checkpoint survives a power cut.

    Args:
        checkpoint: Its folder.
        step: Optimiser steps that were done.
        world_size: Processes that trained together.
        identity: Fingerprint of what is trained, and how.

    Raises:
        UnsafePathError: If it has a symbolic link: what that points at is no part of the checkpoint.
    """
    paths = (path for path in checkpoint.rglob("*") if path.is_symlink() or not path.is_dir())
    files: dict[str, CheckpointFile] = {}
    for name in sorted(path.relative_to(checkpoint).as_posix() for path in paths):
        if name not in {MANIFEST, _STAGED}:
            path = file_inside(checkpoint, name)
            files[name] = CheckpointFile(size_bytes=path.stat().st_size, sha256=file_digest(path))
    put_manifest(checkpoint, CheckpointManifest(step=step, world_size=world_size, identity=identity, files=files))


def put_manifest(checkpoint: Path, manifest: CheckpointManifest) -> None:
    """Write a manifest once all files that it names, and their folders' lists of names, are on the disk."""
    paths = [checkpoint / name for name in manifest.files]
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(checkpoint)}
    for path in (*paths, *sorted(folders)):
        sync_to_disk(path)
    staged = checkpoint / _STAGED
    staged.write_bytes(manifest.to_json())
    sync_to_disk(staged)
    os.replace(staged, checkpoint / MANIFEST)
    sync_to_disk(checkpoint)
    sync_to_disk(checkpoint.parent)


def newest_checkpoint(folder: Path, identity: str, world_size: int) -> Path | None:
    """Return the newest whole checkpoint of a training, or None.

    Torn ones, and those that another training wrote, are set aside under a name that the Trainer does not look for, so that it
    does not count them either. All processes of a training may call this at once.

    Args:
        folder: Where its checkpoints lie.
        identity: Fingerprint of what is trained, and how.
        world_size: Processes that train together.

    Raises:
        SettingsError: If it was written by another number of processes.
    """
    for checkpoint in local_checkpoints(folder):
        try:
            manifest = read_manifest(checkpoint)
        except DataError as error:
            set_aside(checkpoint, "torn", str(error))
            continue
        if other := manifest.foreign_to(identity):
            set_aside(checkpoint, "foreign", other)
            continue
        if manifest.world_size != world_size:
            raise SettingsError(
                f"{checkpoint.name} was written by {manifest.world_size} processes, wanted {world_size}: they would see the rows "
                f"in another order; set runtime.processes (times runtime.nodes) to {manifest.world_size} again, or remove "
                f"{folder.parent} and the copy of its checkpoints in the store, if there is one, to start anew"
            )
        if fault := fault_of(checkpoint, manifest):
            set_aside(checkpoint, "torn", fault)
            continue
        return checkpoint
    return None


def local_checkpoints(folder: Path) -> list[Path]:
    """Return the folders of all checkpoints, finished or not, newest first."""
    steps = [int(found[1]) for path in folder.glob("checkpoint-*") if (found := _FOLDER.fullmatch(path.name))]
    return [folder / f"checkpoint-{step}" for step in sorted(steps, reverse=True)]


def read_manifest(checkpoint: Path) -> CheckpointManifest:
    """Return a checkpoint's manifest.

    Raises:
        DataError: If there is none, or not one of this checkpoint.
    """
    try:
        data = file_inside(checkpoint, MANIFEST).read_bytes()
    except FileNotFoundError:
        raise DataError("it has no manifest, so its writing did not end") from None
    except (OSError, UnsafePathError) as error:
        raise DataError(f"its manifest cannot be read ({error})") from error
    return CheckpointManifest.parse(data, int(checkpoint.name.rpartition("-")[2]))


def set_aside(checkpoint: Path, kind: Literal["torn", "foreign"], reason: str) -> None:
    """Rename a checkpoint that must not be resumed from, and say why."""
    try:
        os.replace(checkpoint, checkpoint.with_name(f"{kind}-{checkpoint.name}-{uuid.uuid4().hex[:8]}"))
    except FileNotFoundError:  # another process of the training was faster
        return
    _logger.warning("%s is %s and was set aside: %s; an earlier one is used, if there is one", checkpoint.name, kind, reason)
