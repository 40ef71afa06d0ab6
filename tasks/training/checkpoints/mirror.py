"""A copy of a training's checkpoints in the store, for stores that outlive the machine: the next machine goes on from it.

The process that started the training owns the copy. The trainer deletes old checkpoints whenever it likes, so each new one is
first linked into a folder beside them, and uploaded from there by a thread in the background.
"""

import os
import shutil
import time
from pathlib import Path
from threading import Event, Thread
from typing import Literal

from tasks.core.errors import DataError
from tasks.core.progress import stage_logger
from tasks.core.storage import Store, sync_to_disk
from tasks.training.checkpoints.local import local_checkpoints, put_manifest, read_manifest, set_aside
from tasks.training.checkpoints.manifest import CheckpointManifest, fault_of
from tasks.training.checkpoints.snapshots import Seal, Snapshot, Snapshots
from tasks.training.checkpoints.stored import StoredCheckpoints

_REMOVAL_WAIT_SECONDS = 60.0


class CheckpointMirror:
    """Keeps the newest checkpoints of a training in the store. Uploads that fail never end the training.

    While an upload runs, the disk holds its checkpoint and the newest one that waits, even if the trainer deleted both.
    """

    def __init__(self, store: Store, prefix: str, folder: Path, identity: str, keep: int = 2) -> None:
        """Name the places; nothing is read yet.

        Args:
            store: Where the copy is kept.
            prefix: Folder of the copy in the store, of this training alone.
            folder: Local folder of the training's checkpoints.
            identity: Fingerprint of what is trained, and how; only checkpoints that bear it are copied and restored.
            keep: Checkpoints that the store holds.
        """
        self._stored = StoredCheckpoints(store, prefix)
        self._folder, self._identity, self._keep = folder, identity, keep
        self._snapshots = Snapshots(folder, identity)
        self._logger = stage_logger()
        self._noted: Seal | None = None
        self._copied: Seal | None = None
        self._waiting: Snapshot | None = None
        self._upload: Thread | None = None
        self._fails = False
        self._removed = Event()

    def restore(self) -> None:
        """Fetch the newest whole checkpoint from the store if this machine has none as new; call it before the training starts.

        Raises:
            StoreUnreachableError: If the store does not answer; a training that it holds is not begun anew.
        """
        self._snapshots.clear()  # a killed process may have left some
        steps = self._stored.steps()
        local = self._newest_whole_step() if steps else None
        for step in steps:
            if local is not None and step <= local:
                return
            try:
                manifest = self._stored.manifest(step)
                if reason := manifest.foreign_to(self._identity):
                    self._set_aside(step, "foreign", reason)
                    continue
                self._fetch(manifest)
            except DataError as error:
                self._set_aside(step, "torn", str(error))
                continue
            self._logger.info("training: the checkpoint of step %d was fetched from %s", step, self._stored.uri)
            return

    def note_new(self) -> None:
        """Take note of a newly sealed checkpoint and see that it is uploaded; cheap enough to be called all the time.

        If uploads are slower than the training, only the newest one that waits is uploaded next.
        """
        try:
            snapshot = self._snapshots.take_newest(self._noted)
        except OSError as error:
            self._warn("the newest could not be hard-linked", error)
            snapshot = None
        if snapshot:
            if self._waiting:
                self._waiting.discard()
            self._waiting, self._noted = snapshot, snapshot.seal
        if self._waiting and not self._is_uploading():
            self._upload = Thread(target=self._copy, args=(self._waiting,), daemon=True)  # one that hangs holds no exit up
            self._waiting = None
            self._upload.start()

    def flush(self, timeout_seconds: float) -> None:
        """Upload what is new and wait for it; call it once the training's process has ended.

        Args:
            timeout_seconds: How long to wait at most; then a warning says that the copy is not complete.
        """
        deadline = time.monotonic() + timeout_seconds
        self._wait(deadline)
        self._noted = self._copied  # one that failed is tried once more
        self.note_new()
        self._wait(deadline)
        if self._noted != self._copied:
            self._logger.warning(
                "training: the newest checkpoint could not be copied to %s within %g s; this machine resumes from its own copy, "
                "another one from an older checkpoint",
                self._stored.uri,
                timeout_seconds,
            )

    def remove(self) -> None:
        """Delete the copy, once its student is published; a failure is only a warning."""
        self._removed.set()
        self._waiting = None
        self._wait(time.monotonic() + _REMOVAL_WAIT_SECONDS)
        try:
            self._stored.remove()
        except Exception as error:
            self._logger.warning(
                "training: %s could not be removed (%s); it is of no more use, so remove it", self._stored.uri, error
            )
        self._snapshots.clear()

    def _newest_whole_step(self) -> int | None:
        for checkpoint in local_checkpoints(self._folder):  # nothing is set aside: a training may be writing one right now
            try:
                manifest = read_manifest(checkpoint)
            except DataError:
                continue
            if not manifest.foreign_to(self._identity) and not fault_of(checkpoint, manifest):
                return manifest.step
        return None

    def _fetch(self, manifest: CheckpointManifest) -> None:
        target = self._folder / f"checkpoint-{manifest.step}"
        staged = self._snapshots.new_folder(target.name)
        staged.mkdir(parents=True)
        try:
            self._stored.download(manifest, staged)
            put_manifest(staged, manifest)
            self._folder.mkdir(parents=True, exist_ok=True)
            if target.exists():
                set_aside(target, "torn", "the store has it whole")
            os.replace(staged, target)
            sync_to_disk(self._folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _set_aside(self, step: int, kind: Literal["torn", "foreign"], reason: str) -> None:
        self._logger.warning(
            "training: the checkpoint of step %d in %s is %s and was set aside: %s; an earlier one is used, if there is one",
            step,
            self._stored.uri,
            kind,
            reason,
        )
        self._stored.set_aside(step, kind)

    def _copy(self, snapshot: Snapshot) -> None:
        step = snapshot.manifest.step
        try:
            if not self._stored.upload(snapshot.folder, snapshot.manifest, lambda: not self._removed.is_set()):
                return
            self._copied = snapshot.seal
            self._stored.retain(self._keep)
        except Exception as error:  # whatever it is, the training goes on
            copied = self._copied == snapshot.seal
            self._warn(f"step {step} was {'copied, but older ones not deleted' if copied else 'not copied'}", error)
        else:
            if self._fails:
                self._logger.info("training: checkpoints are copied to %s again", self._stored.uri)
            self._fails = False
        finally:
            snapshot.discard()

    def _warn(self, what: str, error: Exception) -> None:
        if not self._fails:  # once, not at every checkpoint until it works again
            self._logger.warning(
                "training: the copy of checkpoints in %s is in trouble: %s (%s); the training goes on, its checkpoints stay "
                "on this machine, and the next one is tried again",
                self._stored.uri,
                what,
                error,
            )
        self._fails = True

    def _is_uploading(self) -> bool:
        return self._upload is not None and self._upload.is_alive()

    def _wait(self, deadline: float) -> None:
        if self._upload is not None:
            self._upload.join(max(0.0, deadline - time.monotonic()))
