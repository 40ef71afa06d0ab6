"""What a listing of a store shows, with ages; and how the files of a local one are walked, described and tidied up."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*(/[A-Za-z0-9][A-Za-z0-9._=-]*)*")


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it; equal to another one only if it was not written anew in between."""

    key: str
    size_bytes: int
    modified: datetime
    """When it got its place in the store, which may be later than when its content was written."""


@dataclass(frozen=True)
class UnfinishedWrite:
    """A write that did not end, or not yet: it takes room and is no object."""

    key: str
    size_bytes: int
    started: datetime
    upload_id: str | None = None
    """Of a multipart upload; None for a local file, whose path in the store's folder is ``key``."""


def files_under(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, but for those in hidden folders; links to folders are followed.

    Raises:
        OSError: If a folder cannot be read; none is taken for empty.
    """
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, onerror=raise_unless_missing, followlinks=True):
        if (real := Path(place).resolve()) in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names)


def described(path: Path, root: Path) -> StoredObject:
    """Return a file of a local store as an object.

    Raises:
        FileNotFoundError: If it is gone.
    """
    found = path.stat()
    # A file moved into the store keeps the time of its content; the inode's own time is that of the move.
    moved = datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)
    return StoredObject(path.relative_to(root).as_posix(), found.st_size, moved)


def all_described(paths: Iterable[Path], root: Path) -> list[StoredObject]:
    """Return files as objects, sorted by key, without those that were deleted meanwhile."""
    found: list[StoredObject] = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append(described(path, root))
    return sorted(found, key=lambda stored: stored.key)


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder if it is empty, and those above it up to the root."""
    with suppress(OSError):  # not empty, or gone
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def raise_unless_missing(error: OSError) -> None:
    """Let a walk raise what it would skip, but for a folder that is gone."""
    if not isinstance(error, FileNotFoundError):
        raise error
