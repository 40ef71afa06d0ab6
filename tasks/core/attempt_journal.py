"""The journal of an attempt, kept in the background: after a kill it says how far the attempt had come.

    attempts/<kind>/<fingerprint>/<nonce>.json    one attempt, until the artefact's record has the figures

The same is written four times a second, without waiting for the disk, to the artefact's scratch folder: a process that is killed
on a machine that lives on leaves its last figures there, and the next attempt takes them to the store.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from tasks.core.attempts import Attempt, Figures, Interruptions, Part, reckon
from tasks.core.errors import PreemptedError
from tasks.core.progress import stage_logger
from tasks.core.storage import Store

FOLDER = "attempts"
_TALLY_SECONDS = 0.25
_LOCAL_STORE_SECONDS, _REMOTE_STORE_SECONDS = 10.0, 30.0
_LAST_WRITE_SECONDS = 5.0  # a machine that is about to go away does not wait for a store that is


class AttemptJournal:
    """Tells of an attempt until its block ends, however that comes; what goes wrong with the journal never ends the work."""

    def __init__(self, store: Store, artifact_key: str, unit: str, part: Part | None = None) -> None:
        """Name the attempt; nothing is written yet.

        Args:
            store: Where the artefact will be.
            artifact_key: The artefact's folder in the store.
            unit: What is counted: ``rows`` or ``steps``.
            part: Which work on the artefact this is; None: all of it.
        """
        self._store, self._folder, self._scratch = store, f"{FOLDER}/{artifact_key}", f"{artifact_key}/{FOLDER}"
        self._started, now = time.monotonic(), datetime.now(UTC)
        self._attempt = Attempt(nonce=uuid.uuid4().hex, unit=unit, part=part or Part(), started_at=now, last_seen_at=now)
        self._seconds = _LOCAL_STORE_SECONDS if store.keeps_scratch else _REMOTE_STORE_SECONDS
        self._look: Callable[[], Figures] | None = None
        self._lock, self._over = Lock(), Event()
        self._thread = Thread(target=self._keep, name="attempt", daemon=True)  # one that hangs holds no exit up
        self._logger = stage_logger()
        self._has_warned = self._is_settled = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            if error is None:
                self._attempt.ended = "finished"
            else:  # a stop signal arrives as an exception that is none of Exception's
                is_told = isinstance(error, PreemptedError) or not isinstance(error, Exception)
                self._attempt.ended = "preempted" if is_told else "failed"
        self._try(self._note)
        self._over.set()
        self._thread.join(_LAST_WRITE_SECONDS)

    def begin(self, look: Callable[[], Figures], is_working: bool) -> None:
        """Say that the attempt knows what is left to do.

        Args:
            look: Tells how far it is; called several times a second from now on, from another thread, until the block ends.
            is_working: Whether the work itself begins now; else it begins with the first unit beyond those that are there.
        """
        with self._lock:
            figures = look()
            self._attempt.start_units = self._attempt.units = figures.units
            self._attempt.durable_units = figures.durable
            self._attempt.first_progress_at = self._now() if is_working else None
            self._look = look

    def interruptions(self) -> Interruptions:
        """Return what all attempts at the artefact cost until now; the present one counts as finished."""
        self._try(self._note)
        found: dict[str, Attempt] = {}
        self._try(lambda: found.update(self._noted_here()))
        self._try(lambda: found.update(_newest(found, self._in_store())))
        found.pop(self._attempt.nonce, None)
        with self._lock:
            return reckon(found.values(), self._attempt.model_copy())

    def settle(self) -> None:
        """Say that the artefact is published with the figures in its record: all its journals go at the block's end."""
        self._is_settled = True

    def _keep(self) -> None:
        """Write until the block ends; runs in a thread of its own."""
        self._try(self._note)
        self._try(self._write)
        self._try(self._hand_over)
        written = time.monotonic()
        while not self._over.wait(_TALLY_SECONDS):
            self._try(self._note)
            if time.monotonic() - written >= self._seconds:
                self._try(self._write)
                written = time.monotonic()
        self._try(self._remove_all if self._is_settled else self._write)

    def _note(self) -> None:
        """Take in how far the attempt is and leave it on this machine."""
        with self._lock:
            self._attempt.last_seen_at = self._now()
            if self._look is not None:
                self._attempt.look(self._look(), self._attempt.last_seen_at)
            folder = self._store.scratch(self._scratch)
            staged = folder / f".{self._attempt.nonce}"
            with suppress(FileNotFoundError):  # publishing, or a garbage collection, removes the folder at this very moment
                staged.write_text(self._attempt.model_dump_json(), encoding="utf-8")
                os.replace(staged, folder / f"{self._attempt.nonce}.json")  # not synced: only a machine that dies loses it

    def _write(self) -> None:
        with self._lock:
            content = self._attempt.model_dump_json(indent=2).encode()
        self._store.write(f"{self._folder}/{self._attempt.nonce}.json", content)

    def _hand_over(self) -> None:
        """Take to the store what attempts that were killed on this machine had noted last."""
        for nonce, attempt in _newest(self._in_store(), self._noted_here()).items():
            if nonce != self._attempt.nonce:
                self._store.write(f"{self._folder}/{nonce}.json", attempt.model_dump_json(indent=2).encode())

    def _remove_all(self) -> None:
        noted = self._store.scratch(self._scratch)
        shutil.rmtree(noted, ignore_errors=True)
        with suppress(OSError):  # something else of a run beside this one is in it
            noted.parent.rmdir()
        for key in self._store.keys(self._folder):
            self._store.delete(key)

    def _noted_here(self) -> dict[str, Attempt]:
        """Return the attempts that this machine knows of, as it saw them last."""
        folder = self._store.scratch(self._scratch)
        return _parsed(path.read_bytes for path in folder.glob("[!.]*.json"))

    def _in_store(self) -> dict[str, Attempt]:
        """Return the attempts that the store knows of."""
        return _parsed(partial(self._store.read, key) for key in self._store.keys(self._folder))

    def _now(self) -> datetime:
        """Return the time, by a clock that nobody sets while the attempt runs."""
        return self._attempt.started_at + timedelta(seconds=time.monotonic() - self._started)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # whatever it is, the work goes on
            if not self._has_warned:
                message = "the journal of this attempt could not be kept in %s/%s (%s); the work goes on, and the account of "
                self._logger.warning(f"{message}interruptions may be short", self._store.url, self._folder, error)
            self._has_warned = True


def _parsed(reads: Iterable[Callable[[], bytes]]) -> dict[str, Attempt]:
    """Return the attempts that can be read, by nonce; one that is torn, or just removed, is left out."""
    found: dict[str, Attempt] = {}
    for read in reads:
        try:
            attempt = Attempt.model_validate_json(read())
        except (FileNotFoundError, ValueError):
            continue
        found[attempt.nonce] = attempt
    return found


def _newest(known: dict[str, Attempt], others: dict[str, Attempt]) -> dict[str, Attempt]:
    """Return those of the others that were seen later than what is known of them."""
    return {
        nonce: attempt
        for nonce, attempt in others.items()
        if nonce not in known or known[nonce].last_seen_at < attempt.last_seen_at
    }
