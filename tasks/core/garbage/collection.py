"""A collection: find the garbage, drop it piece by piece, and say what it was."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby

from pydantic import BaseModel, ConfigDict

from tasks.core.garbage.artifacts import find_leftovers, find_shards, find_unneeded
from tasks.core.garbage.layout import Layout, Limits
from tasks.core.garbage.local_files import find_copies, find_scratch
from tasks.core.garbage.piece import Piece
from tasks.core.garbage.references import References
from tasks.core.garbage.unfinished import (
    find_besides,
    find_partitions,
    find_probes,
    find_results,
    find_torn_writes,
)
from tasks.core.storage import Store

_SHOWN_NAMES = 10


class Heap(BaseModel):
    """Garbage of one sort."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    why: str
    pieces: int
    dropped: int
    """Pieces that were dropped; the others were in use by the time they were to go, or it is a dry run."""
    objects: int
    size_bytes: int
    names: tuple[str, ...]
    """Some of the pieces' names."""


class Collection(BaseModel):
    """What a collection found and dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    dry_run: bool
    objects: int
    """Objects that the store had before."""
    heaps: tuple[Heap, ...]
    held_back: tuple[str, ...]
    """Why something stays that would otherwise have gone, or gone into the list."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all garbage that was found."""
        return sum(heap.size_bytes for heap in self.heaps)


class Garbage:
    """The garbage of a store at one moment.

    Args:
        store: The store.
        limits: Ages.

    Raises:
        StoreUnreachableError: If the store does not answer.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store, self._begun = store, datetime.now(UTC)
        layout, references = Layout(store.objects()), References(store, limits)
        references.look(layout)
        self._objects = len(layout.keys)
        self._held_back = [
            f"{key} cannot be read, so what it was made from is not known and no artefact is dropped; run its recipe again, "
            "or delete it if nobody wants it"
            for key in references.unreadable
        ]
        unneeded = list(find_unneeded(store, layout, limits, references))
        going = {piece.name for piece in unneeded}
        self.pieces = [
            *unneeded,
            *find_leftovers(store, layout, limits, references),
            *find_shards(store, layout, limits),
            *find_besides(store, layout, limits),
            *find_partitions(store, layout, limits),
            *find_results(store, layout, limits, going),
            *find_probes(store, layout, limits),
            *find_torn_writes(store, limits),
            *find_scratch(store, layout, limits),
            *find_copies(store, layout, limits, going),
        ]

    def drop(self, run_since: Callable[[datetime], str | None]) -> Collection:
        """Drop it, each piece after a last look whether it still is garbage.

        Args:
            run_since: Tells which run is at work on the store, or was at or after a moment; None if there is none. It is asked
                right before each piece that such a run may use is deleted: one that began before the answer and had not yet
                looked for what it needs would not find it.

        Returns:
            What was found, and how much of it went.

        Raises:
            StoreUnreachableError: If the store does not answer; what was dropped until then is gone.
        """
        dropped: set[int] = set()
        runs: list[str] = []
        for number, piece in enumerate(self.pieces):
            if not piece.still():
                continue
            run = run_since(self._begun) if piece.needs_quiet else None
            if run is None and piece.delete():
                dropped.add(number)
            elif run is not None and run not in runs:
                runs.append(run)
        return self._collection(dropped, runs, dry_run=False)

    def keep(self, run_since: Callable[[datetime], str | None]) -> Collection:
        """Drop nothing, and return what was found."""
        run = run_since(self._begun) if any(piece.needs_quiet for piece in self.pieces) else None
        return self._collection(set(), [] if run is None else [run], dry_run=True)

    def _collection(self, dropped: set[int], runs: Iterable[str], dry_run: bool) -> Collection:
        sorts = sorted(enumerate(self.pieces), key=lambda numbered: (numbered[1].what, numbered[1].why))
        groups = [list(group) for _, group in groupby(sorts, lambda numbered: (numbered[1].what, numbered[1].why))]
        return Collection(
            store=self._store.url,
            dry_run=dry_run,
            objects=self._objects,
            heaps=tuple(_heap([piece for _, piece in group], sum(number in dropped for number, _ in group)) for group in groups),
            held_back=(
                *self._held_back,
                *(f"{run} is at work on this store, or was meanwhile: what it may use stays this time" for run in runs),
            ),
        )


def _heap(pieces: list[Piece], dropped: int) -> Heap:
    return Heap(
        what=pieces[0].what,
        why=pieces[0].why,
        pieces=len(pieces),
        dropped=dropped,
        objects=sum(piece.objects for piece in pieces),
        size_bytes=sum(piece.size_bytes for piece in pieces),
        names=tuple(piece.name for piece in pieces[:_SHOWN_NAMES]),
    )
