"""Finished answers on their way to the ledger: decoded, checked and committed in the background while the teacher goes on."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tasks.core.errors import TransientError
from tasks.core.ledger import Ledger
from tasks.core.progress import stage_logger
from tasks.core.records import Generation
from tasks.generating.asking import FAILURES
from tasks.generating.spill import Spill
from tasks.teachers.exchange import Completion

_HASTE_SECONDS = 15.0  # of the 30 seconds that a spot machine's or a pod's stop signal leaves
_SHARDS_UNDER_WAY = 2  # a store that is slower than the teacher holds it up instead of filling the memory


@dataclass(frozen=True)
class Answered:
    """A completion, with the key it is committed under and its prompt's task type."""

    completion: Completion
    row_key: str
    task: str


class ShardWriter:
    """Collects finished answers and commits them shard by shard; leaving the block, however it ends, commits the open one.

    Once the ledger fails to take a shard, this one and all that follow go to the spill, without waiting for the store's
    time-outs again, and the run ends.
    """

    def __init__(
        self,
        ledger: Ledger,
        spill: Spill,
        read: Callable[[list[Answered]], list[Generation]],
        shard_rows: int,
        shard_seconds: float,
    ) -> None:
        """Open a writer.

        Args:
            ledger: Where the rows go.
            spill: Where they wait if the ledger does not take them.
            read: Makes rows of completions: decodes and parses them; runs in the background.
            shard_rows: Rows after which a shard is committed.
            shard_seconds: Seconds after which it is committed all the same.
        """
        self._ledger, self._spill, self._read, self._rows, self._seconds = ledger, spill, read, shard_rows, shard_seconds
        self._open: list[Answered] = []
        self._opened = time.monotonic()
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shards")
        self._under_way: deque[tuple[Future[None], list[Answered]]] = deque()
        self._failure: Exception | None = None
        self._is_spilling = False
        self.taken = 0
        """Answers that were added, failed ones left out."""
        self.kept = 0
        """Those of them that a kill does not lose any more: they are in the ledger, or wait on this machine."""
        self.committed = 0
        self.spilled = 0
        """Rows that wait on this machine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        is_stopped = kind is not None and not issubclass(kind, Exception)
        try:
            if is_stopped:
                self._flush_in_haste()
            else:
                self.flush()
        finally:
            self._background.shutdown(wait=not is_stopped, cancel_futures=True)
            if self.spilled:
                message = "generations: %d answers wait in %s; the next run on this machine commits them"
                stage_logger().warning(message, self.spilled, self._spill.folder)

    def flush(self) -> None:
        """Commit everything that was added, and wait for it.

        Raises:
            StoreUnreachableError: If a shard could not be committed, now or earlier.
            DataError: If an answer does not fit the ledger's schema.
        """
        self._submit()
        while self._under_way:
            self._settle_oldest()
        self._raise_failure()

    def _flush_in_haste(self) -> None:
        """Commit everything, or let it wait on this machine if the store is too slow: who stops us does not wait for long."""
        self._submit()
        _, stuck = wait([future for future, _ in self._under_way], _HASTE_SECONDS)
        for future, shard in self._under_way:
            if future in stuck:
                self._keep(self._read(shard))  # a commit that comes through all the same makes no second row
        self._under_way.clear()

    def add(self, answered: Answered) -> None:
        """Take an answer; may wait when the store is slow.

        Raises:
            StoreUnreachableError: If a shard could not be committed; this answer is taken all the same.
            DataError: If an answer does not fit the ledger's schema.
        """
        self._open.append(answered)
        self.taken += answered.completion.finish_reason not in FAILURES
        if len(self._open) >= self._rows or time.monotonic() - self._opened > self._seconds:
            self._submit()
        while len(self._under_way) > _SHARDS_UNDER_WAY or (self._under_way and self._under_way[0][0].done()):
            self._settle_oldest()
        self._raise_failure()

    def _submit(self) -> None:
        if self._open:
            shard, self._open = self._open, []
            self._under_way.append((self._background.submit(self._write, shard), shard))
        self._opened = time.monotonic()

    def _settle_oldest(self) -> None:
        wait([self._under_way[0][0]])  # dropped after: a stop signal may interrupt the wait
        self._under_way.popleft()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write(self, shard: list[Answered]) -> None:
        """Commit a shard, in the background; what goes wrong is kept for the thread that adds."""
        try:
            rows = self._read(shard)
            if self._is_spilling:
                self._keep(rows)
            else:
                self._commit(rows)
        except Exception as error:
            self._failure = error if self._failure is None else self._failure

    def _commit(self, rows: list[Generation]) -> None:
        try:
            self.committed += self._ledger.commit(rows)
            self.kept += _answers(rows)
        except TransientError as error:
            self._is_spilling = True
            if not self._keep(rows):
                raise
            where = f"the answers that it did not take wait in {self._spill.folder}"
            raise type(error)(f"{error}; {where} and are committed by the next run on this machine") from error

    def _keep(self, rows: list[Generation]) -> bool:
        kept = self._spill.keep(rows)
        self.spilled += len(rows) if kept else 0
        self.kept += _answers(rows) if kept else 0
        return kept


def _answers(rows: list[Generation]) -> int:
    return sum(row["finish_reason"] not in FAILURES for row in rows)
