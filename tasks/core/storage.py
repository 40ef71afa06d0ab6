"""The artefact store: a local folder, or with ``s3.py`` an S3 prefix, behind one class: no stage knows which it writes to.

Three promises hold on both: an object appears whole or not at all, ``create`` never overwrites, and a store that does not
answer raises ``StoreUnreachableError`` instead of looking empty.
"""

import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.errors import SettingsError, StoreUnreachableError, UnsafePathError
from tasks.core.listing import (
    KEY,
    StoredObject,
    UnfinishedWrite,
    all_described,
    described,
    files_under,
    raise_unless_missing,
    remove_empty,
)

_S3_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=/-]*)?")
_STAGED = re.compile(r"\..+\.[0-9a-f]{8}")


def open_store(url: str) -> "Store":
    """Open the store at a URL.

    Args:
        url: A local folder, created when missing, or ``s3://bucket/prefix``. S3's endpoint, region and keys come from the
            standard AWS environment variables and files, never from a recipe.

    Raises:
        SettingsError: If the URL is of another kind, or chains file systems.
    """
    if url.startswith("s3://"):
        if not _S3_URL.fullmatch(url) or ".." in url:
            raise SettingsError(f"the store {url!r} is not of the form s3://bucket/prefix")
        from tasks.core.s3 import S3Store

        return S3Store(url.rstrip("/"))
    if "://" in url or "::" in url:
        raise SettingsError(f"the store {url!r} is neither a local folder nor s3://bucket/prefix; give one of these")
    return Store(Path(url).expanduser().resolve())


class Store:
    """A store in a local folder. Keys are relative, ``/``-separated paths."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def url(self) -> str:
        """Where the store is: an absolute path or an ``s3://`` URL."""
        return str(self._root)

    @property
    def keeps_scratch(self) -> bool:
        """Whether scratch folders lie in the store itself, so that what is in them outlives this machine as the store does."""
        return True

    def read(self, key: str) -> bytes:
        """Return an object's content.

        Raises:
            FileNotFoundError: If there is no such object.
            StoreUnreachableError: If the store does not answer.
        """
        with reaching(self.url):
            return self._path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Write an object whole, replacing what was there."""
        with reaching(self.url):
            os.replace(self._staged(key, data), self._path(key))
            sync_to_disk(self._path(key).parent)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object whole unless the key is taken.

        Returns:
            Whether this call wrote it: of several racing calls exactly one returns True.
        """
        with reaching(self.url):
            staged = self._staged(key, data)
            try:
                os.link(staged, self._path(key))
            except FileExistsError:
                return False
            finally:
                staged.unlink()
            sync_to_disk(self._path(key).parent)  # a name survives a power cut once its folder is on the disk
            return True

    def require_create_only(self) -> None:
        """Try out that ``create`` never overwrites; a folder's hard links promise it.

        Raises:
            SettingsError: If the store's server ignores the condition, so that racing runs would lose each other's work.
            StoreUnreachableError: If the store does not answer.
        """

    def upload(self, source: Path, key: str) -> None:
        """Move a finished local file into the store; the source may be gone afterwards."""
        with reaching(self.url):
            target = self._path(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_to_disk(source)
            try:
                os.replace(source, target)
            except OSError:  # another file system: copy beside the target first, so that it still appears whole
                os.replace(self._staged(key, source.read_bytes()), target)
            sync_to_disk(target.parent)

    def download(self, key: str, target: Path) -> None:
        """Copy an object into a local file, piece by piece however large it is; after an error the file may be torn.

        Raises:
            FileNotFoundError: If there is no such object.
            StoreUnreachableError: If the store does not answer, or the local disk does not take the file.
        """
        with reaching(self.url):
            shutil.copyfile(self._path(key), target)

    def local_path(self, key: str) -> Path:
        """Return a local path that holds the object or the folder of objects at a key; treat it as read-only."""
        return self._path(key)

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes, or None when there is none."""
        with reaching(self.url):
            try:
                found = self._path(key).stat()
            except FileNotFoundError:
                return None
            return found.st_size if stat.S_ISREG(found.st_mode) else None

    def delete(self, key: str) -> None:
        """Delete an object; one that is already gone is no error."""
        with reaching(self.url):
            self._path(key).unlink(missing_ok=True)

    def delete_unchanged(self, found: StoredObject) -> bool:
        """Delete an object unless it was written anew since it was listed; return whether it is gone."""
        with reaching(self.url):
            path = self._path(found.key)
            try:
                if described(path, self._root) != found:
                    return False
            except FileNotFoundError:
                return True
            path.unlink(missing_ok=True)
            remove_empty(path.parent, self._root)
            return True

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects under a folder, sorted."""
        with reaching(self.url):
            folders = os.walk(self._path(prefix), onerror=raise_unless_missing)
            found = (Path(folder, name) for folder, _, names in folders for name in names if not name.startswith("."))
            return sorted(path.relative_to(self._root).as_posix() for path in found)

    def objects(self, prefix: str = "") -> list[StoredObject]:
        """Return all objects under a folder, or of the whole store, sorted by key. Files that have no proper key are left out."""
        with reaching(self.url):
            paths = files_under(self._path(prefix) if prefix else self._root)
            return all_described((path for path in paths if KEY.fullmatch(path.relative_to(self._root).as_posix())), self._root)

    def unfinished_writes(self) -> list[UnfinishedWrite]:
        """Return the writes that did not end, or not yet: staged files, and with S3 multipart uploads too."""
        with reaching(self.url):
            staged = all_described((path for path in files_under(self._root) if _STAGED.fullmatch(path.name)), self._root)
            return [UnfinishedWrite(found.key, found.size_bytes, found.modified) for found in staged]

    def abandon(self, write: UnfinishedWrite) -> None:
        """Remove what an unfinished write left; one that ended meanwhile is no error."""
        with reaching(self.url):
            staged = self._root / write.key
            staged.unlink(missing_ok=True)
            remove_empty(staged.parent, self._root)

    @property
    def cache(self) -> Path | None:
        """The local folder that holds copies of the store's objects, under their keys; None if the store is local itself."""
        return None

    @property
    def work(self) -> Path:
        """The local folder of all scratch folders; it need not exist."""
        return self._root / ".work"

    def scratch(self, name: str) -> Path:
        """Return a local folder for unfinished work, the same one in every run, on the store's file system if it is local."""
        with reaching(self.url):
            folder = self.work / name
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def _path(self, key: str) -> Path:
        return self._root / safe_key(key)

    def _staged(self, key: str, data: bytes) -> Path:
        target = self._path(key)
        staged = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.write_bytes(data)
            except FileNotFoundError:  # the folder was empty, and a garbage collection removed it this very moment
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.write_bytes(data)
            sync_to_disk(staged)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        return staged


def safe_key(key: str) -> str:
    """Return the key if it stays inside a store.

    Raises:
        UnsafePathError: If it is absolute, climbs, is hidden, or has characters outside ``A-Za-z0-9._=-/``.
    """
    if not KEY.fullmatch(key):
        raise UnsafePathError(f"the key {key!r} is not a plain relative path; use letters, digits, '.', '_', '=', '-', '/'")
    return key


def sync_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)  # a folder has no other way to be opened
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Tell a store that does not answer from an object that is not there.

    Raises:
        StoreUnreachableError: For any failure of the service or the disk inside the block.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, IsADirectoryError):
        raise
    except Exception as error:
        if not _is_service_failure(error):
            raise
        raise StoreUnreachableError(
            f"the store {url} does not answer ({type(error).__name__}: {error}); "
            "check its address, credentials, quota, disk space and this machine's clock, then run again: finished work is kept"
        ) from error


def _is_service_failure(error: Exception) -> bool:
    checks: tuple[Callable[[], bool], ...] = (
        lambda: isinstance(error, OSError) and not isinstance(error, UnsafePathError),
        lambda: type(error).__module__.partition(".")[0] in {"botocore", "aiobotocore", "aiohttp", "fsspec"},
    )
    return any(check() for check in checks)
