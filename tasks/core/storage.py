"""The artefact store: a local folder or an S3 prefix behind one small class, so that no stage knows which it writes to.

Three promises hold on both: an object appears whole or not at all, ``create`` never overwrites, and a store that does not
answer raises ``StoreUnreachableError`` instead of looking empty.
"""

import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.core.errors import SettingsError, StoreUnreachableError, UnsafePathError

_S3_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=/-]*)?")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*(/[A-Za-z0-9][A-Za-z0-9._=-]*)*")
_PRECONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict", "pre-conditions")
_S3_TIMEOUTS: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}


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
            return True

    def upload(self, source: Path, key: str) -> None:
        """Move a finished local file into the store; the source may be gone afterwards."""
        with reaching(self.url):
            target = self._path(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(source)
            try:
                os.replace(source, target)
            except OSError:  # another file system: copy beside the target first, so that it still appears whole
                os.replace(self._staged(key, source.read_bytes()), target)

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

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects under a folder, sorted."""
        with reaching(self.url):
            folders = os.walk(self._path(prefix), onerror=_raise_unless_missing)
            found = (Path(folder, name) for folder, _, names in folders for name in names if not name.startswith("."))
            return sorted(path.relative_to(self._root).as_posix() for path in found)

    def scratch(self, name: str) -> Path:
        """Return a local folder for unfinished work, the same one in every run, on the store's file system if it is local."""
        with reaching(self.url):
            folder = self._root / ".work" / name
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def _path(self, key: str) -> Path:
        return self._root / safe_key(key)

    def _staged(self, key: str, data: bytes) -> Path:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            staged.write_bytes(data)
            _sync(staged)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        return staged


class S3Store(Store):
    """A store under an S3 prefix; objects read as files are kept in a local cache folder."""

    def __init__(self, url: str) -> None:
        super().__init__(_cache_folder(url))
        self._url = url
        with reaching(url):
            self._s3 = s3_filesystem()

    @property
    def url(self) -> str:
        return self._url

    def read(self, key: str) -> bytes:
        with reaching(self.url):
            return self._s3.cat_file(self._object(key))

    def write(self, key: str, data: bytes) -> None:
        with reaching(self.url):
            self._s3.pipe_file(self._object(key), data)

    def create(self, key: str, data: bytes) -> bool:
        with reaching(self.url):
            try:
                self._s3.pipe_file(self._object(key), data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                # Servers other than AWS answer 412 in words that s3fs does not recognise as "exists".
                if any(word in repr(error) for word in _PRECONDITION_FAILED):
                    return False
                raise
            return True

    def upload(self, source: Path, key: str) -> None:
        with reaching(self.url):
            self._s3.put_file(str(source), self._object(key))

    def local_path(self, key: str) -> Path:
        with reaching(self.url):
            remote, local = self._object(key), self._path(key)
            if self._s3.isfile(remote):
                self._fetch(remote, local)
            else:
                for name in self._s3.find(remote):
                    self._fetch(name, local / name.removeprefix(f"{remote}/"))
            return local

    def size(self, key: str) -> int | None:
        with reaching(self.url):
            try:
                found = self._s3.info(self._object(key), refresh=True)
            except FileNotFoundError:
                return None
            return found["size"] if found["type"] == "file" else None

    def delete(self, key: str) -> None:
        with reaching(self.url):
            if self._s3.exists(self._object(key)):
                self._s3.rm_file(self._object(key))

    def keys(self, prefix: str) -> list[str]:
        with reaching(self.url):
            base = self._url.removeprefix("s3://")
            found = self._s3.find(self._object(prefix), refresh=True)
            return sorted(name.removeprefix(f"{base}/") for name in found if name.startswith(f"{self._object(prefix)}/"))

    def _object(self, key: str) -> str:
        return f"{self._url.removeprefix('s3://')}/{safe_key(key)}"

    def _fetch(self, remote: str, local: Path) -> None:
        size = self._s3.info(remote, refresh=True)["size"]
        if local.is_file() and local.stat().st_size == size:  # objects under an artefact never change
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{uuid.uuid4().hex[:8]}")
        self._s3.get_file(remote, str(partial))
        os.replace(partial, local)


def safe_key(key: str) -> str:
    """Return the key if it stays inside a store.

    Raises:
        UnsafePathError: If it is absolute, climbs, is hidden, or has characters outside ``A-Za-z0-9._=-/``.
    """
    if not _KEY.fullmatch(key):
        raise UnsafePathError(f"the key {key!r} is not a plain relative path; use letters, digits, '.', '_', '=', '-', '/'")
    return key


@lru_cache(maxsize=1)
def s3_filesystem() -> Any:
    """Return the process's S3 file system, with time-outs that end every call and no stale listings."""
    import s3fs
    from botocore.handlers import add_expect_header

    filesystem = s3fs.S3FileSystem(config_kwargs=_S3_TIMEOUTS, use_listings_cache=False, skip_instance_cache=True)
    filesystem.retries = 2  # multiplies with botocore's own attempts
    filesystem.connect()
    # With "Expect: 100-continue" a server that accepts a connection and then falls silent holds a PUT for ever:
    # the read time-out does not start before the body is sent.
    client: Any = filesystem.s3
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return filesystem


def _cache_folder(url: str) -> Path:
    from tasks.core.fingerprint import SHORT, fingerprint

    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return base / "potstill" / fingerprint(url)[:SHORT]


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


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
            "check its address, credentials, quota and disk space, then run again: finished work is kept"
        ) from error


def _is_service_failure(error: Exception) -> bool:
    checks: tuple[Callable[[], bool], ...] = (
        lambda: isinstance(error, OSError) and not isinstance(error, UnsafePathError),
        lambda: type(error).__module__.partition(".")[0] in {"botocore", "aiobotocore", "aiohttp", "fsspec"},
    )
    return any(check() for check in checks)
