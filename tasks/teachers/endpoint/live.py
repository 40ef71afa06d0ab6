"""An OpenAI-compatible endpoint as a teacher: many requests at once, as many as it takes, until every row is settled or paid for.

Every request runs in a thread of its own and only talks HTTP there; what its outcome means is decided in the caller's thread,
which waits in short steps, so that a stop signal is never held up. A row that waits for its next attempt holds neither thread nor
connection.
"""

import heapq
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import count

from tasks.core.errors import PotstillError, PreemptedError
from tasks.core.progress import stage_logger
from tasks.teachers.endpoint.body import Call
from tasks.teachers.endpoint.budget import Reservation, reservation
from tasks.teachers.endpoint.concurrency import Concurrency
from tasks.teachers.endpoint.reply import TORN, Reply, retry_after_seconds
from tasks.teachers.endpoint.rows import Result, too_many_failures
from tasks.teachers.endpoint.session import EndpointSession
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, Feed, Request
from tasks.teachers.settings import LogprobSettings, Sampling

_TICK_SECONDS = 0.1
_RANDOM = random.SystemRandom()  # waiting times must not depend on a seed that the run sets


@dataclass(eq=False)
class _Row:
    request: Request
    call: Call
    reserved: Reservation
    attempts: int = 0
    sent: float = 0.0
    """When the attempt under way began, on the monotonic clock."""


class Endpoint(EndpointSession):
    """An endpoint ready to be asked; use it as a context manager, which closes its connections at the end."""

    def __init__(
        self, settings: EndpointSettings, sampling: Sampling, logprobs: LogprobSettings | None, runtime: EndpointRuntime
    ) -> None:
        """Check the settings and read the key; nothing is sent yet.

        Args:
            settings: The endpoint and its model.
            sampling: How answers are sampled; ``structured_output.labels`` is resolved to ``choice`` by the caller.
            logprobs: Log-probabilities to keep; None: none. vLLM's server needs a ``--max-logprobs`` of ``top_k + 1``.
            runtime: How the endpoint is asked.

        Raises:
            SettingsError: If the endpoint cannot be asked for this, its URL is refused, or its key is missing.
        """
        super().__init__(settings, sampling, logprobs, runtime)
        self._concurrency = Concurrency(runtime.max_concurrency)
        self._order = count()
        self._running: set[_Row] = set()
        self._waiting: list[tuple[float, int, _Row]] = []  # a heap: when to ask again, order, row
        self._arrived: deque[tuple[_Row, Reply | Exception]] = deque()
        self._bell = threading.Event()
        self._ready: deque[Completion] = deque()
        self._resting_until = 0.0
        self._ending: PotstillError | None = None
        self._in_pieces = False

    def stream(self, feed: Feed) -> Iterator[Completion]:
        """Yield every row's completion as it is settled: answered, refused, or given up after ``max_attempts``.

        Args:
            feed: Where requests are taken from, not before they can be sent.

        Raises:
            SettingsError: If the endpoint denies access, redirects, or does not know the model.
            BudgetExceededError: If the budget or the account is spent; what was under way has been yielded.
            StageFailedError: If too small a share of the rows was answered; what was under way has been yielded.
        """
        self._ending = None
        self.usage.concurrency = self._concurrency.limit
        while True:
            dry = self._send(feed)
            if not (self._running or self._arrived or self._ready) and (self._ending or (dry and not self._waiting)):
                break
            self._bell.wait(self._longest_wait())
            self._receive()
            while self._ready:
                yield self._ready.popleft()
        if self._ending is None:
            self._ending = too_many_failures(self.usage, self._given_up, self._runtime.min_endpoint_success_ratio, finished=True)
        if self._ending is not None:
            raise self._ending

    def ask_in_pieces(self, wanted: bool) -> None:
        """Have answers come in pieces from now on, which tells when their first token came; or whole again.

        An endpoint that refuses to, or does not count tokens then, is asked for whole answers, and no time of a first token is
        known.
        """
        self._in_pieces = wanted

    def rise_to(self, concurrency: int) -> None:
        """Send so many requests at once without finding out first whether they are taken, unless the limit has shown."""
        self._concurrency.rise_to(concurrency)

    def drain(self) -> list[Completion]:
        """Return the completions that ``stream`` did not yield before it was left, those of requests under way included.

        They get ``stop_grace_seconds`` to come in; no row is asked again.
        """
        self._ending = PreemptedError("the endpoint was told to stop")
        self._waiting.clear()
        deadline = time.monotonic() + self._runtime.stop_grace_seconds
        while (self._running or self._arrived) and time.monotonic() < deadline:
            self._bell.wait(_TICK_SECONDS)
            self._receive()
        self._running.clear()  # whatever comes now is too late
        completions = list(self._ready)
        self._ready.clear()
        return completions

    def committed(self, keys: AbstractSet[str]) -> None:
        """Do nothing: only batches keep books."""

    def _send(self, feed: Feed) -> bool:
        """Start as many requests as may be under way.

        Returns:
            Whether the feed has nothing now.
        """
        while self._ending is None and len(self._running) < self._concurrency.limit and time.monotonic() >= self._resting_until:
            if self._waiting and self._waiting[0][0] <= time.monotonic():
                row = heapq.heappop(self._waiting)[2]
            elif len(self._running) + len(self._waiting) < self._concurrency.limit:
                request = feed.take()
                if request is None:
                    return True
                reserved = reservation(request, self._sampling.new_tokens)
                call = self._composer.compose(request)
                row = _Row(request, call.in_pieces() if self._in_pieces else call, reserved)
            else:
                return False
            if not self._budget.reserve(row.reserved):
                self._wait(row, 0.0)
                if not self._running:  # nothing under way can turn out cheaper than it was taken for
                    self._end(self._budget.exhausted())
                return False
            row.attempts += 1
            row.sent = time.monotonic()
            self._running.add(row)
            threading.Thread(target=self._ask, args=(row,), daemon=True).start()
        return False

    def _ask(self, row: _Row) -> None:
        try:
            outcome: Reply | Exception = self._client.post(row.call.path, row.call.body)
        except Exception as error:  # it belongs to the caller's thread, and is raised there
            outcome = error
        self._arrived.append((row, outcome))
        self._bell.set()

    def _longest_wait(self) -> float:
        due = max(self._resting_until, self._waiting[0][0]) if self._waiting else self._resting_until
        left = due - time.monotonic()
        return min(left, _TICK_SECONDS) if left > 0 else _TICK_SECONDS

    def _receive(self) -> None:
        self._bell.clear()
        while self._arrived:
            row, outcome = self._arrived[0]
            if row in self._running:
                self._running.remove(row)
                if isinstance(outcome, Exception):
                    raise outcome
                self._settle(row, outcome)
            self._arrived.popleft()

    def _settle(self, row: _Row, reply: Reply) -> None:
        result = self._reader.read(row.request.key, row.call.path, reply)
        self._budget.settle(row.reserved, *result.cost(row.reserved))
        self._pace(row, reply, result)
        if result.end is not None:
            self._end(result.end)
        elif self._ending is None and row.call.is_in_pieces and _came_badly(reply, result):
            self._in_pieces, row.call = False, self._composer.compose(row.request)
            self._wait(row, 0.0)
            stage_logger().warning("the endpoint gives no usable answers in pieces: when their first token comes is not known")
        elif result.completion is not None:
            self._finish(_timed(result.completion, reply))
        elif self._ending is None and result.again is not None:
            if row.attempts < self._runtime.max_attempts:
                self.usage.retries[result.again] += 1
                self._wait(row, self._backoff(row.attempts))
            else:
                self._given_up[result.again] += 1
                problem = f"the endpoint did not answer in {row.attempts} attempts, last because of: {result.again}"
                self._finish(Completion(row.request.key, [], "error", problem=problem), result.again)

    def _pace(self, row: _Row, reply: Reply, result: Result) -> None:
        """Adapt to how the endpoint took a request: how many at once, and when the next."""
        now = time.monotonic()
        if result.completion is not None:
            self._concurrency.succeeded(row.sent)
        elif reply.busy:
            self._concurrency.pushed_back(row.sent, now)
            asked = retry_after_seconds(reply.retry_after)
            if asked is not None:
                self._resting_until = max(self._resting_until, now + min(asked, self._runtime.max_backoff_seconds))
        self.usage.concurrency = self._concurrency.limit

    def _finish(self, completion: Completion, reason: str | None = None) -> None:
        if completion.problem is None:
            self.usage.answered += 1
        else:
            self.usage.failures[reason or completion.problem] += 1
        self._ready.append(completion)
        if self._ending is None:
            ratio = self._runtime.min_endpoint_success_ratio
            if error := too_many_failures(self.usage, self._given_up, ratio, finished=False):
                self._end(error)

    def _end(self, error: PotstillError) -> None:
        """Take and repeat nothing any more; what is under way is waited for and yielded."""
        self._ending = self._ending or error
        self._waiting.clear()

    def _backoff(self, attempts: int) -> float:
        """Return a row's wait, up to a bound that doubles ("full jitter": Brooker, AWS Architecture Blog, 2015), in seconds."""
        bound = min(self._runtime.max_backoff_seconds, self._runtime.backoff_seconds * 2 ** (attempts - 1))
        return _RANDOM.uniform(0.0, bound)

    def _wait(self, row: _Row, seconds: float) -> None:
        heapq.heappush(self._waiting, (time.monotonic() + seconds, next(self._order), row))


def _came_badly(reply: Reply, result: Result) -> bool:
    """Return whether asking for pieces may be why there is no answer, or one without a count of tokens."""
    came = reply.status is not None and reply.status < 500 and not reply.busy
    answered = result.completion is not None and result.completion.problem is None
    return (came or reply.problem == TORN) and (not answered or result.spent is None)


def _timed(completion: Completion, reply: Reply) -> Completion:
    """Return a completion with the times of its tokens, where they are known."""
    first, last = reply.first_token_seconds, reply.last_token_seconds
    if first is None or last is None:
        return completion
    later = completion.completion_tokens - 1
    return replace(completion, first_token_seconds=first, per_token_seconds=(last - first) / later if later > 0 else None)
