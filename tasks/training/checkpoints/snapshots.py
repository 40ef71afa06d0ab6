"""Sealed checkpoints held fast by hard links, because the trainer deletes old ones whenever it likes."""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import DataError, UnsafePathError
from tasks.training.checkpoints.local import local_checkpoints, read_manifest
from tasks.training.checkpoints.manifest import MANIFEST, CheckpointManifest, file_inside

Seal = tuple[int, int]
"""Inode and time of a manifest: tells a checkpoint from a later one of the same step."""


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint whose files stay although the trainer deletes them."""

    seal: Seal
    manifest: CheckpointManifest
    folder: Path

    def discard(self) -> None:
        """Let the files go."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Snapshots:
    """The snapshots of one training's checkpoints, in a folder beside them, on the same file system."""

    def __init__(self, checkpoints: Path, identity: str) -> None:
        self._checkpoints, self._identity = checkpoints, identity
        self._folder = checkpoints.with_name(f"{checkpoints.name}.mirror")

    def new_folder(self, name: str) -> Path:
        """Return the path of a folder that nobody else uses."""
        return self._folder / f"{name}-{uuid.uuid4().hex[:8]}"

    def clear(self) -> None:
        """Let all go, those of a killed process included."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_newest(self, known: Seal | None) -> Snapshot | None:
        """Link the newest sealed checkpoint of the training.

        Args:
            known: The seal of one that is not wanted again.

        Returns:
            The snapshot; None if the newest is the known one, or there is none.

        Raises:
            OSError: If the file system makes no hard links.
        """
        for checkpoint in local_checkpoints(self._checkpoints):
            try:
                stat = (checkpoint / MANIFEST).stat()
            except FileNotFoundError:  # it is being written, or deleted
                continue
            seal = (stat.st_ino, stat.st_mtime_ns)
            if seal == known:
                return None
            if snapshot := self._take(checkpoint, seal):
                return snapshot
        return None

    def _take(self, checkpoint: Path, seal: Seal) -> Snapshot | None:
        folder = self.new_folder(checkpoint.name)
        try:
            manifest = read_manifest(checkpoint)
            if manifest.foreign_to(self._identity):
                return None
            for name in manifest.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).hardlink_to(file_inside(checkpoint, name))
        except (DataError, UnsafePathError, FileNotFoundError):  # torn, or being deleted
            shutil.rmtree(folder, ignore_errors=True)
            return None
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Snapshot(seal, manifest, folder)
