"""The artefact store on S3, through s3fs: conditional writes, time-outs that end every call, and a local cache for reading."""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.core.errors import SettingsError
from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.listing import KEY, StoredObject, UnfinishedWrite
from tasks.core.storage import Store, reaching, safe_key

_PRECONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict", "pre-conditions")
_S3_TIMEOUTS: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}


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

    @property
    def keeps_scratch(self) -> bool:
        return False

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

    def require_create_only(self) -> None:
        probe = f"probe/{uuid.uuid4().hex}"
        try:
            self.create(probe, b"first")
            overwritten = self.create(probe, b"second")
        finally:
            self.delete(probe)
        if overwritten:
            raise SettingsError(
                f"the S3 server of the store {self.url} ignores If-None-Match, wanted a server that refuses to overwrite: "
                "without it runs at the same time lose each other's work; use another server or a local folder"
            )

    def upload(self, source: Path, key: str) -> None:
        with reaching(self.url):
            self._s3.put_file(str(source), self._object(key))

    def download(self, key: str, target: Path) -> None:
        with reaching(self.url):
            self._s3.get_file(self._object(key), str(target))

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

    def delete_unchanged(self, found: StoredObject) -> bool:
        with reaching(self.url):
            try:
                entry = self._s3.info(self._object(found.key), refresh=True)
                if entry["type"] == "file" and _described(found.key, entry) != found:
                    return False
                self._s3.rm_file(self._object(found.key))
            except FileNotFoundError:
                pass
            return True

    def objects(self, prefix: str = "") -> list[StoredObject]:
        with reaching(self.url):
            base = self._url.removeprefix("s3://")
            folder = f"{self._object(prefix)}/" if prefix else f"{base}/"
            found = self._s3.find(folder.rstrip("/"), detail=True, refresh=True)
            return [
                _described(key, entry)
                for name, entry in sorted(found.items())
                if name.startswith(folder) and KEY.fullmatch(key := name.removeprefix(f"{base}/"))
            ]

    def unfinished_writes(self) -> list[UnfinishedWrite]:
        with reaching(self.url):
            uploads = [self._described_upload(upload) for upload in self._uploads()]
        return [*super().unfinished_writes(), *(upload for upload in uploads if upload)]

    def abandon(self, write: UnfinishedWrite) -> None:
        if write.upload_id is None:
            super().abandon(write)
            return
        with reaching(self.url), suppress(FileNotFoundError):
            bucket, _, name = self._object(write.key).partition("/")
            self._s3.call_s3("abort_multipart_upload", Bucket=bucket, Key=name, UploadId=write.upload_id)

    @property
    def cache(self) -> Path:
        return self._root

    def _uploads(self) -> Iterator[dict[str, Any]]:
        bucket, _, prefix = self._url.removeprefix("s3://").partition("/")
        place: dict[str, str] = {}
        while True:
            listed = self._s3.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", **place)
            yield from listed.get("Uploads", [])
            markers = {"KeyMarker": listed.get("NextKeyMarker"), "UploadIdMarker": listed.get("NextUploadIdMarker")}
            following = {name: value for name, value in markers.items() if value}  # some servers give one of them only
            if not listed.get("IsTruncated") or following in ({}, place):
                return
            place = following

    def _described_upload(self, upload: dict[str, Any]) -> UnfinishedWrite | None:
        """Return an upload with the size of its parts, or None if it ended meanwhile or its key is none of ours."""
        bucket, _, prefix = self._url.removeprefix("s3://").partition("/")
        key = upload["Key"].removeprefix(f"{prefix}/" if prefix else "")
        if not KEY.fullmatch(key):
            return None
        size, part = 0, 0
        while True:
            try:
                listed = self._s3.call_s3(
                    "list_parts", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"], PartNumberMarker=part
                )
            except FileNotFoundError:
                return None
            size += sum(found["Size"] for found in listed.get("Parts", []))
            if not listed.get("IsTruncated") or listed["NextPartNumberMarker"] == part:
                return UnfinishedWrite(key, size, upload["Initiated"], upload["UploadId"])
            part = listed["NextPartNumberMarker"]

    def _object(self, key: str) -> str:
        return f"{self._url.removeprefix('s3://')}/{safe_key(key)}"

    def _fetch(self, remote: str, local: Path) -> None:
        size = self._s3.info(remote, refresh=True)["size"]
        if local.is_file() and local.stat().st_size == size:  # objects under an artefact never change
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{uuid.uuid4().hex[:8]}")
        try:
            self._s3.get_file(remote, str(partial))
            os.replace(partial, local)
        finally:
            partial.unlink(missing_ok=True)


def _described(key: str, entry: dict[str, Any]) -> StoredObject:
    modified = entry["LastModified"].replace(microsecond=0)  # some servers give fractions in listings only
    return StoredObject(key, entry["size"], modified)


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
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return base / "potstill" / fingerprint(url)[:SHORT]
