"""Which artefacts are needed: all that a report was made from, and all that something young was made from."""

import time
from dataclasses import dataclass

from pydantic import ValidationError

from tasks.core.artifact import Record, artifact_key
from tasks.core.garbage.layout import ArtifactFolder, Layout, Limits
from tasks.core.listing import StoredObject
from tasks.core.storage import Store

_REPORT = "report"
_FRESH_SECONDS = 10.0


@dataclass(frozen=True)
class Named:
    """What a record names."""

    inputs: frozenset[str]
    """Keys of the artefacts that it was made from, whatever their store was called then."""
    files: frozenset[str]
    """Keys of the artefact's own files."""


class References:
    """The needed artefacts of a store, at the time of the last look.

    Args:
        store: The store.
        limits: Ages.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._named: dict[StoredObject, Named | None] = {}
        self._needed: set[str] = set()
        self._looked: float | None = None
        self.unreadable: list[str] = []
        """Keys of records that could not be read at the last look; what they name is not known."""

    def look(self, layout: Layout) -> None:
        """Find out what is needed, by a listing of the store."""
        self.unreadable = [
            folder.record.key for folder in layout.artifacts.values() if folder.record and self.named(folder.record) is None
        ]
        waiting = [key for key, folder in layout.artifacts.items() if self._is_root(key, folder)]
        self._needed = set(waiting)
        while waiting:
            inputs = self._inputs(layout.artifacts[waiting.pop()])
            added = {key for key in inputs if key in layout.artifacts} - self._needed
            self._needed |= added
            waiting += added

    def is_needed(self, key: str) -> bool:
        """Return whether an artefact was needed at the last look; each is if a record could not be read."""
        return bool(self.unreadable) or key in self._needed

    def is_needed_now(self, key: str) -> bool:
        """Return the same by a look of our own, at most seconds ago: a run may have made a report of it meanwhile."""
        if self._looked is None or time.monotonic() - self._looked > _FRESH_SECONDS:
            self._looked = time.monotonic()
            self.look(Layout(self._store.objects()))
        return self.is_needed(key)

    def named(self, record: StoredObject) -> Named | None:
        """Return what a record names, or None if it cannot be read.

        Raises:
            StoreUnreachableError: If the store does not answer.
        """
        if record not in self._named:
            self._named[record] = self._read(record.key)
        return self._named[record]

    def _read(self, key: str) -> Named | None:
        folder = key.rpartition("/")[0]
        try:
            record = Record.model_validate_json(self._store.read(key))
        except FileNotFoundError:  # moved aside or dropped since it was listed
            return Named(frozenset(), frozenset())
        except ValidationError:
            return None
        inputs = (artifact_key(artifact.kind, artifact.fingerprint) for artifact in record.inputs.values())
        return Named(frozenset(inputs), frozenset(f"{folder}/{entry.path}" for entry in record.files))

    def _is_root(self, key: str, folder: ArtifactFolder) -> bool:
        if not self._limits.is_old(*folder.objects):
            return True
        return key.startswith(f"{_REPORT}/") and folder.record is not None and self._limits.is_kept_report(folder.record)

    def _inputs(self, folder: ArtifactFolder) -> set[str]:
        """Return what an artefact was made from; one that was found damaged lately will be made from it again."""
        lately = [record for record in folder.damaged if not self._limits.is_old(record)]
        records = lately if folder.record is None else [folder.record, *lately]
        return {key for record in records if (named := self.named(record)) for key in named.inputs}
