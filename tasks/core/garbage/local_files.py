"""What this machine holds for a store: scratch folders of stages that ended, and copies of objects that are gone."""

import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.garbage.layout import ARTIFACT_KEY, Layout, Limits
from tasks.core.garbage.piece import Piece
from tasks.core.listing import KEY, StoredObject, all_described, files_under, raise_unless_missing
from tasks.core.storage import Store, reaching

_PAID = "paid_answers.jsonl"
_ROWS = ("spill/", "ledger/")


def find_scratch(store: Store, layout: Layout, limits: Limits) -> Iterator[Piece]:
    """Yield scratch folders of artefacts that are complete, those that rested for long, and torn files beside them.

    Rows that wait there for the store were paid for and stay, however old; so do an unfinished evaluation's paid answers.
    """
    with reaching(store.url):
        for folder in (folder for top in _children(store.work) for folder in _children(top)):
            name = folder.relative_to(store.work).as_posix()
            if not folder.is_dir() or folder.is_symlink() or name.startswith(_ROWS):
                continue
            complete = layout.is_complete(name)
            if not complete and not name.startswith("drafts/") and not ARTIFACT_KEY.fullmatch(name):
                continue
            files = _tree(folder, store.work)
            if not complete and any(file.key.endswith(f"/{_PAID}") for file in files):
                continue
            if limits.is_old(*files) if complete else limits.is_given_up(*files):
                why = "its artefact is complete" if complete else "its run was given up"

                def delete(folder: Path = folder, files: Sequence[StoredObject] = files) -> bool:
                    return _drop_tree(folder, files, store)

                yield Piece("scratch folder", why, str(folder), len(files), _size(files), delete, needs_quiet=True)
        shards = [path for path in _children(store.work / "ledger") if path.suffix == ".parquet"]
        spilled = [path for folder in _children(store.work / "spill") for path in _children(folder)]
        torn = [path for path in spilled if path.suffix == ".damaged" or path.name.startswith(".")]
        for found in all_described([*shards, *torn], store.work):
            if limits.is_old(found):
                path = store.work / found.key

                def unlink(path: Path = path) -> bool:
                    path.unlink(missing_ok=True)
                    return True

                yield Piece("torn file", "its writer is gone, or it cannot be read", str(path), 1, found.size_bytes, unlink)


def find_copies(store: Store, layout: Layout, limits: Limits, going: Collection[str]) -> Iterator[Piece]:
    """Yield old copies of objects that are not in the store, or that are going in the same collection.

    Args:
        store: The store.
        layout: Its objects.
        limits: Ages.
        going: Keys of the artefacts that go.
    """
    cache = store.cache
    if cache is None:
        return
    folders: dict[str, list[StoredObject]] = defaultdict(list)
    with reaching(store.url):
        for copy in all_described(files_under(cache), cache):
            folder = "/".join(copy.key.split("/")[:2])
            gone = KEY.fullmatch(copy.key) and (copy.key not in layout.keys or folder in going)
            if gone and limits.is_old(copy):
                folders[folder].append(copy)
    for folder, copies in folders.items():

        def delete(copies: Sequence[StoredObject] = copies) -> bool:
            absent = [copy for copy in copies if store.size(copy.key) is None]
            for copy in absent:
                (cache / copy.key).unlink(missing_ok=True)
            return len(absent) == len(copies)

        yield Piece("cached copy", "its object is gone", str(cache / folder), len(copies), _size(copies), delete)


def _size(files: Sequence[StoredObject]) -> int:
    return sum(file.size_bytes for file in files)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _tree(folder: Path, root: Path) -> list[StoredObject]:
    """Return everything in a folder, and the folder itself: one that is empty has an age too. None of it need still be there."""
    paths = [folder]
    for place, folders, names in os.walk(folder, onerror=raise_unless_missing):
        paths += [Path(place, name) for name in (*folders, *names)]
    found: list[StoredObject] = []
    for path in sorted(paths):
        with suppress(FileNotFoundError):
            entry = path.lstat()
            moved = datetime.fromtimestamp(max(entry.st_mtime, entry.st_ctime), UTC)
            size = 0 if stat.S_ISDIR(entry.st_mode) else entry.st_size
            found.append(StoredObject(path.relative_to(root).as_posix(), size, moved))
    return found


def _drop_tree(folder: Path, files: Sequence[StoredObject], store: Store) -> bool:
    with reaching(store.url):
        if _tree(folder, store.work) != list(files):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
