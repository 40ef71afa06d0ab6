"""One piece of garbage: what it is, why nothing needs it, and how it is dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.core.listing import StoredObject
from tasks.core.storage import Store


@dataclass(frozen=True)
class Piece:
    """Something that goes as a whole."""

    what: str
    why: str
    name: str
    """Its key, its folder or its path."""
    objects: int
    size_bytes: int
    delete: Callable[[], bool]
    """Deletes it, but for what was written anew meanwhile; returns whether all is gone."""
    still: Callable[[], bool] = lambda: True
    """Looks once more whether it is garbage."""
    needs_quiet: bool = False
    """Stays while a run is at work on the store: it may be in use although its age and the records do not show it."""


def objects_piece(
    store: Store,
    what: str,
    why: str,
    name: str,
    objects: Sequence[StoredObject],
    still: Callable[[], bool] = lambda: True,
    needs_quiet: bool = False,
) -> Piece:
    """Return a piece that consists of objects of the store, which are deleted in their order."""
    size = sum(stored.size_bytes for stored in objects)
    return Piece(what, why, name, len(objects), size, lambda: drop_all(store, objects), still, needs_quiet)


def drop_all(store: Store, objects: Sequence[StoredObject]) -> bool:
    """Delete objects in their order, up to one that was written anew since it was listed; return whether all are gone."""
    return all(store.delete_unchanged(stored) for stored in objects)
