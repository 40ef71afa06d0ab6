"""Stores with old and young things in them, and their collection as it would be after the old ones have become old."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.core.artifact import Artifact, Draft, open_file, read_record
from tasks.core.fingerprint import fingerprint
from tasks.core.garbage.collection import Collection, Garbage
from tasks.core.garbage.layout import Limits
from tasks.core.storage import Store, open_store

WEEK, YEAR = timedelta(days=7), timedelta(days=365)
PROBE = "0" * 32
"""Name of an object that a try of the store left."""


def make(store_url: str, kind: str, name: str = "one", inputs: Mapping[str, Artifact] | None = None) -> Artifact:
    """Publish an artefact of two files."""
    draft = Draft(store_url, kind, fingerprint([kind, name]), version=1, settings={}, inputs=inputs or {})
    for file in ("data", "deep/more"):
        (draft.path / file).parent.mkdir(parents=True, exist_ok=True)
        (draft.path / file).write_text(f"{kind} {name} {file}")
    try:
        return draft.publish()
    finally:
        draft.discard()


def lineage(store_url: str, name: str = "one") -> tuple[Artifact, Artifact, Artifact]:
    """Publish prompts, a student of them, and a report of the student."""
    prompts = make(store_url, "prompts", name)
    student = make(store_url, "student", name, {"prompts": prompts})
    return prompts, student, make(store_url, "report", name, {"student": student})


def moment(store_url: str) -> datetime:
    """Return a moment that is later than all that was written, and earlier than all that will be."""
    pause = 1.1 if store_url.startswith("s3://") else 0.03  # S3 tells times in whole seconds
    time.sleep(pause)
    now = datetime.now(UTC)
    time.sleep(pause)
    return now


def garbage(store_url: str, old: datetime, **limits: timedelta) -> Garbage:
    """Find the garbage a week after a moment: all that was there at that moment is old by then."""
    return Garbage(open_store(store_url), Limits(**{"now": old + WEEK, "min_age": WEEK, "unfinished": WEEK, **limits}))  # type: ignore[arg-type]


def collect(store_url: str, old: datetime, run: str | None = None, **limits: timedelta) -> Collection:
    """Drop it, while a run is under way or none is."""
    return garbage(store_url, old, **limits).drop(lambda _: run)


def nobody(_: datetime) -> None:
    """No run is at work on the store."""


def found(collection: Collection) -> dict[str, set[str]]:
    """Return the names of what was found, by its sort."""
    sorts: dict[str, set[str]] = {}
    for heap in collection.heaps:
        assert len(heap.names) == heap.pieces, "the tests' stores are small"
        sorts.setdefault(heap.what, set()).update(heap.names)
    return sorts


def attempt(store: Store, artifact_key: str, name: str = "0000aaaa") -> str:
    """Leave a file of an attempt that never published; return the attempt's folder."""
    store.write(f"{artifact_key}/{name}/weights/model.safetensors", b"half")
    return f"{artifact_key}/{name}"


def opens(artifact: Artifact, seen: set[str] | None = None) -> None:
    """Open every file of an artefact and of all that it was made from; each is compared with its record."""
    seen = set() if seen is None else seen
    if artifact.key in seen:
        return
    seen.add(artifact.key)
    record = read_record(artifact)
    for entry in record.files:
        open_file(artifact, entry.path.partition("/")[2])
    for made_from in record.inputs.values():
        opens(made_from, seen)


def local_files(folder: Path) -> set[str]:
    """Return every file below a folder, hidden ones included."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
