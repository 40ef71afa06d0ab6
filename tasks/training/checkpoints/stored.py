"""Checkpoints in the store: files by their content, so that what did not change is there once, and one manifest each.

<prefix>/blobs/<sha256>             a file of one or more checkpoints
<prefix>/checkpoint-<step>.json     manifest; written after all its blobs, and what makes them a checkpoint
<prefix>/torn/..., foreign/...      manifests that must not be restored
"""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tasks.core.errors import DataError
from tasks.core.storage import Store
from tasks.training.checkpoints.manifest import CheckpointFile, CheckpointManifest, file_fault


class StoredCheckpoints:
    """The checkpoints of one training under a prefix of a store; every method raises ``StoreUnreachableError``."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._manifest_key = re.compile(rf"{re.escape(prefix)}/checkpoint-(\d{{8,}})\.json")

    @property
    def uri(self) -> str:
        """Where they are."""
        return f"{self._store.url}/{self._prefix}"

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints that have a manifest, newest first."""
        found = (self._manifest_key.fullmatch(key) for key in self._store.keys(self._prefix))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def manifest(self, step: int) -> CheckpointManifest:
        """Return a checkpoint's manifest.

        Raises:
            DataError: If it is gone or not one of this checkpoint.
        """
        try:
            return CheckpointManifest.parse(self._store.read(self._key(step)), step)
        except FileNotFoundError:
            raise DataError("its manifest is gone") from None

    def upload(self, snapshot: Path, manifest: CheckpointManifest, is_wanted: Callable[[], bool]) -> bool:
        """Make a checkpoint appear in the store, whole or not at all; blobs that are there are not uploaded again.

        Args:
            snapshot: A folder with its files, which may be gone afterwards.
            manifest: Its manifest.
            is_wanted: Asked before each object; once it says no, nothing more is written.

        Returns:
            Whether the checkpoint is there.

        Raises:
            DataError: If a file is not what the manifest says: nothing is stored under a hash that is not its own.
        """
        for name, file in manifest.files.items():
            if not is_wanted():
                return False
            if self._store.size(self._blob(file)) != file.size_bytes:
                if fault := file_fault(snapshot, name, file):
                    raise DataError(fault)
                self._store.upload(snapshot / name, self._blob(file))
        if not is_wanted():
            return False
        self._store.write(self._key(manifest.step), manifest.to_json())
        return True

    def download(self, manifest: CheckpointManifest, target: Path) -> None:
        """Download a checkpoint's files into an empty folder and check each.

        Raises:
            DataError: If one is gone or differs; a blob with a wrong content is deleted, so that it is uploaded again.
        """
        for name, file in manifest.files.items():  # before anything is downloaded in vain
            size = self._store.size(self._blob(file))
            if size != file.size_bytes:
                raise DataError(f"{name} has {size or 'no'} bytes in the store, wanted {file.size_bytes}")
        for name, file in manifest.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._store.download(self._blob(file), path)
            except FileNotFoundError:
                raise DataError(f"{name} is gone from the store") from None
            if fault := file_fault(target, name, file):
                self._store.delete(self._blob(file))
                raise DataError(fault)

    def set_aside(self, step: int, kind: Literal["torn", "foreign"]) -> None:
        """Rename a manifest so that its checkpoint is not found again; its blobs stay until the next ``retain``."""
        try:
            data = self._store.read(self._key(step))
        except FileNotFoundError:
            return
        self._store.write(f"{self._prefix}/{kind}/checkpoint-{step:08d}-{uuid.uuid4().hex[:8]}.json", data)
        self._store.delete(self._key(step))

    def retain(self, newest: int) -> None:
        """Delete all but the newest checkpoints, and all blobs that none of these names."""
        steps = self.steps()
        named: set[str] = set()
        for step in steps[:newest]:
            try:
                named.update(self._blob(file) for file in self.manifest(step).files.values())
            except DataError:
                self.set_aside(step, "torn")
        for step in steps[newest:]:
            self._store.delete(self._key(step))
        for key in self._store.keys(f"{self._prefix}/blobs"):
            if key not in named:
                self._store.delete(key)

    def remove(self) -> None:
        """Delete everything under the prefix."""
        for key in reversed(self._store.keys(self._prefix)):  # manifests before blobs: none is ever left without its own
            self._store.delete(key)

    def _key(self, step: int) -> str:
        return f"{self._prefix}/checkpoint-{step:08d}.json"

    def _blob(self, file: CheckpointFile) -> str:
        return f"{self._prefix}/blobs/{file.sha256}"
