"""Artefacts that nothing was made from, files that no record names, and shards that no log entry names."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError

from tasks.core.artifact import RECORD, Record
from tasks.core.garbage.layout import Layout, Limits
from tasks.core.garbage.piece import Piece, objects_piece
from tasks.core.garbage.references import References
from tasks.core.listing import StoredObject
from tasks.core.storage import Store


def find_unneeded(store: Store, layout: Layout, limits: Limits, references: References) -> Iterator[Piece]:
    """Yield the old artefacts that no report and nothing young was made from."""
    for key, folder in layout.artifacts.items():
        if folder.record is None or references.is_needed(key) or not limits.is_old(*folder.objects):
            continue

        def still(key: str = key) -> bool:
            return not references.is_needed_now(key)

        # The record goes first: an artefact that is half gone is then one that was never made, and not a damaged one.
        yield objects_piece(store, "artefact", "no report was made from it", key, folder.objects, still, needs_quiet=True)


def find_leftovers(store: Store, layout: Layout, limits: Limits, references: References) -> Iterator[Piece]:
    """Yield what killed and overtaken attempts left in artefacts' folders, and old records of damaged ones."""
    for key, folder in layout.artifacts.items():
        named = references.named(folder.record) if folder.record else None
        if folder.record and (named is None or not references.is_needed(key)):
            continue  # what it names is not known; or it goes as a whole
        attempts: dict[str, list[StoredObject]] = defaultdict(list)
        for stored in folder.files:
            if named is None or stored.key not in named.files:
                attempts["/".join(stored.key.split("/")[:3])].append(stored)
        for name, files in attempts.items():
            if limits.is_old(*files):

                def still(key: str = key, files: Sequence[StoredObject] = files) -> bool:
                    return not _names_any(store, key, files)

                yield objects_piece(store, "attempt", "no record names its files", name, files, still)
        for record in folder.damaged:
            if limits.is_old(record):
                yield objects_piece(store, "damaged record", "it was moved aside long ago", record.key, [record])


def find_shards(store: Store, layout: Layout, limits: Limits) -> Iterator[Piece]:
    """Yield old shards that were uploaded and never committed: a run that was killed in between will not name them."""
    for ledger, shards in layout.shards.items():
        log = _LedgerLog(store, ledger)
        for shard in shards if log.knows_all() else []:
            if limits.is_old(shard) and shard.key not in log.named:

                def still(shard: StoredObject = shard, log: _LedgerLog = log) -> bool:
                    return log.knows_all() and shard.key not in log.named

                yield objects_piece(store, "shard", "its rows were never committed", shard.key, [shard], still, needs_quiet=True)


class _LogEntry(BaseModel):
    """What is of interest in an entry of a ledger's log."""

    shard: str


class _LedgerLog:
    """Which shards the log of a ledger names."""

    def __init__(self, store: Store, ledger: str) -> None:
        self._store, self._folder = store, f"{ledger}/log"
        self._read: set[str] = set()
        self.named: set[str] = set()
        """Keys of shards."""

    def knows_all(self) -> bool:
        """Read the entries that are new; return whether all could be read. A committed row is never at stake."""
        for key in self._store.keys(self._folder):
            if key not in self._read:
                try:
                    self.named.add(_LogEntry.model_validate_json(self._store.read(key)).shard)
                except (ValidationError, FileNotFoundError):
                    return False
                self._read.add(key)
        return True


def _names_any(store: Store, key: str, files: Sequence[StoredObject]) -> bool:
    """Return whether the record that an artefact has now names any of the files, or cannot be read."""
    try:
        record = Record.model_validate_json(store.read(f"{key}/{RECORD}"))
    except FileNotFoundError:
        return False
    except ValidationError:
        return True
    return not {f"{key}/{entry.path}" for entry in record.files}.isdisjoint(stored.key for stored in files)
