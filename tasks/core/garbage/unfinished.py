"""What runs leave beside artefacts: copies of checkpoints, journals, partitions, Prefect's results, probes, torn writes."""

import json
from collections.abc import Collection, Iterator, Sequence

from tasks.core.artifact import artifact_key
from tasks.core.garbage.layout import ARTIFACT_KEY, JOURNALS, MIRRORS, Layout, Limits, is_known_place
from tasks.core.garbage.piece import Piece, objects_piece
from tasks.core.listing import StoredObject, UnfinishedWrite
from tasks.core.storage import Store


def find_besides(store: Store, layout: Layout, limits: Limits) -> Iterator[Piece]:
    """Yield what stands beside an artefact while it is made: copies of checkpoints, journals of attempts.

    It goes once the artefact is there, or when the work rested for so long that it was given up.
    """
    for what, top, folders in (("checkpoints", MIRRORS, layout.mirrors), ("journal", JOURNALS, layout.journals)):
        for key, objects in folders.items():
            if layout.is_complete(key) and limits.is_old(*objects):
                yield _folder_piece(store, what, "what it helped to make is finished", f"{top}/{key}", objects)
            elif limits.is_given_up(*objects):
                yield _folder_piece(store, what, "its work was given up", f"{top}/{key}", objects)


def find_partitions(store: Store, layout: Layout, limits: Limits) -> Iterator[Piece]:
    """Yield plans, reports and pairs of partitions that nobody will read again."""
    for folder, objects in layout.partitions.items():
        if limits.is_given_up(*objects):
            yield _folder_piece(store, "partitions", "their run is long over", folder, objects)


def find_probes(store: Store, layout: Layout, limits: Limits) -> Iterator[Piece]:
    """Yield what trying the store out has left."""
    for probe in layout.probes:
        if limits.is_old(probe):
            yield objects_piece(store, "probe", "its run ended", probe.key, [probe])


def find_results(store: Store, layout: Layout, limits: Limits, going: Collection[str]) -> Iterator[Piece]:
    """Yield Prefect's results that name an artefact which is gone, or which is going in the same collection.

    Args:
        store: The store.
        layout: Its objects.
        limits: Ages.
        going: Keys of the artefacts that go.
    """
    for result in layout.results:
        if not limits.is_old(result):
            continue
        key = _result_of(store, result)
        if key and (key in going or not layout.is_complete(key)):
            yield objects_piece(store, "Prefect result", "its artefact is gone", result.key, [result])


def find_torn_writes(store: Store, limits: Limits) -> Iterator[Piece]:
    """Yield writes that did not end: multipart uploads, which cost money and show in no listing, and staged files."""
    for write in store.unfinished_writes():
        if is_known_place(write.key) and limits.now - write.started >= limits.min_age:
            what = "multipart upload" if write.upload_id else "staged file"

            def abandon(write: UnfinishedWrite = write) -> bool:
                store.abandon(write)
                return True

            yield Piece(what, "it was never completed", write.key, 1, write.size_bytes, abandon)


def _folder_piece(store: Store, what: str, why: str, folder: str, objects: Sequence[StoredObject]) -> Piece:
    """Return all objects of a folder as one piece that goes only if none was added or written anew."""

    def still() -> bool:
        return store.objects(folder) == list(objects)

    # In reverse order, manifests go before the files that they name.
    return objects_piece(store, what, why, folder, objects[::-1], still, needs_quiet=True)


def _result_of(store: Store, result: StoredObject) -> str | None:
    """Return the key of the artefact that a result names, or None if it does not say."""
    kind, _, digits = result.key.partition("/")[2].rpartition("-")
    if ARTIFACT_KEY.fullmatch(f"{kind}/{digits}"):  # a stage's result bears its cache key
        return f"{kind}/{digits}"
    try:
        artifact = json.loads(store.read(result.key))["data"]
        return artifact_key(str(artifact["kind"]), str(artifact["fingerprint"]))
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # gone, or no handle of an artefact
        return None
