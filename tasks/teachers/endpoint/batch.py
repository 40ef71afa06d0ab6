"""An endpoint's Batch API as a teacher: often half the price, answers within 24 hours, and no batch is paid for twice.

Every batch is written down in the store as soon as it exists and until its answers are committed, so a run that was killed
while it waited finds its batches again instead of submitting them anew.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from tasks.core.errors import PotstillError, SettingsError
from tasks.core.storage import Store
from tasks.teachers.endpoint.body import Call
from tasks.teachers.endpoint.budget import Reservation, reservation
from tasks.teachers.endpoint.files import BatchFiles, write_parts
from tasks.teachers.endpoint.pending import PendingBatch, PendingBatches
from tasks.teachers.endpoint.reply import Reply, short_codes
from tasks.teachers.endpoint.rows import too_many_failures
from tasks.teachers.endpoint.session import EndpointSession
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, Feed, Request
from tasks.teachers.settings import LogprobSettings, Sampling

_ENDED = {"completed", "expired", "failed", "cancelled"}
_GONE = "gone from the endpoint"
_EXPIRED = "batch_expired"


class EndpointBatch(EndpointSession):
    """An endpoint ready to take batches; use it as a context manager, which closes its connections at the end."""

    def __init__(
        self,
        settings: EndpointSettings,
        sampling: Sampling,
        logprobs: LogprobSettings | None,
        runtime: EndpointRuntime,
        store: Store,
        namespace: str,
    ) -> None:
        """Check the settings and read the key; nothing is sent yet.

        Args:
            settings: The endpoint and its model.
            sampling: How answers are sampled; ``structured_output.labels`` is resolved to ``choice`` by the caller.
            logprobs: Log-probabilities to keep; None: none.
            runtime: How the endpoint is asked.
            store: Where batches are written down.
            namespace: Fingerprint of the teacher and the sampling settings, as the ledger's.

        Raises:
            SettingsError: If the endpoint cannot be asked for this, its URL is refused, or its key is missing.
        """
        super().__init__(settings, sampling, logprobs, runtime)
        self._files = BatchFiles(self._client, runtime, self._reader.ended)
        self._pending = PendingBatches(store, namespace)
        self._wanted: dict[str, Request] = {}
        self._attempts: Counter[str] = Counter()
        self._reserved: dict[str, Reservation] = {}
        self._settled: set[str] = set()
        self._parked: dict[str, PendingBatch] = {}  # done batches, by those of their rows that nobody has asked for yet
        self._yielded: dict[str, PendingBatch] = {}

    def stream(self, feed: Feed) -> Iterator[Completion]:
        """Yield every row's completion when its batch is done; batches of an earlier run are waited for, not submitted again.

        Args:
            feed: Taken from until it has nothing now; what it has after a batch goes into the next one.

        Raises:
            SettingsError: If the endpoint denies access, has no Batch API, or does not accept a batch.
            BudgetExceededError: If the budget is spent; what was submitted has been yielded.
            StageFailedError: If the endpoint does not answer, or too small a share of the rows was answered.
        """
        under_way = self._pending.read()
        attached = {key for batch in under_way for key in batch.keys}
        unsent: list[Request] = []
        ending: PotstillError | None = None
        while True:
            while ending is None and (request := feed.take()) is not None:
                self._wanted[request.key] = request
                parked = self._parked.get(request.key)
                if parked is None and request.key not in attached:
                    unsent.append(request)
                elif parked is not None and parked not in under_way:
                    under_way.append(parked)
            if unsent and ending is None:
                submitted, ending = self._submit(unsent)
                under_way += submitted
            unsent = []
            done = self._first_done(under_way)
            if done is None:
                break
            under_way.remove(done[0])
            attached.difference_update(done[0].keys)
            yield from self._completions(*done, unsent)
        ending = ending or too_many_failures(self.usage, self._given_up, self._runtime.min_endpoint_success_ratio, finished=True)
        if ending is not None:
            raise ending

    def drain(self) -> list[Completion]:
        """Return nothing: batches go on at the endpoint without us, and the next run finds them."""
        return []

    def committed(self, keys: AbstractSet[str]) -> None:
        """Forget the batches all of whose answers are safe; call it when answers were committed.

        Args:
            keys: Keys of all rows whose answers are committed, by this run or an earlier one.
        """
        for batch in list(self._yielded.values()):
            if all(key in keys or key in self._settled for key in batch.keys):
                self._pending.remove(batch)
                del self._yielded[batch.batch_id]

    def _submit(self, requests: list[Request]) -> tuple[list[PendingBatch], PotstillError | None]:
        """Submit what the budget allows, and say what keeps the rest from being submitted."""
        calls: list[tuple[str, Call]] = []
        ending = None
        for request in requests:
            reserved = reservation(request, self._sampling.new_tokens)
            if not self._budget.reserve(reserved):
                ending = self._budget.exhausted()
                break
            self._reserved[request.key] = reserved
            self._attempts[request.key] += 1
            calls.append((request.key, self._composer.compose(request)))
        batches: list[PendingBatch] = []
        with tempfile.TemporaryDirectory() as folder:
            for path in sorted({call.path for _, call in calls}):
                for file, keys in write_parts(Path(folder), [entry for entry in calls if entry[1].path == path]):
                    batch = PendingBatch(self._files.submit(file, path), path, keys)
                    self._pending.add(batch)
                    batches.append(batch)
        return batches, ending

    def _first_done(self, under_way: list[PendingBatch]) -> tuple[PendingBatch, dict[str, Any]] | None:
        """Wait until a batch is done, and return it with what the endpoint says about it; None if there is none."""
        while under_way:
            for batch in under_way:
                state = self._files.state(batch.batch_id)
                if state is None:
                    return batch, {"status": _GONE}
                if state.get("status") in _ENDED:
                    return batch, state
            time.sleep(self._runtime.batch_poll_seconds)
        return None

    def _completions(self, batch: PendingBatch, state: dict[str, Any], unsent: list[Request]) -> Iterator[Completion]:
        """Yield the completions of a batch that is done; rows worth another attempt are appended to ``unsent``."""
        if state["status"] == "failed":
            self._pending.remove(batch)
            errors = (state.get("errors") or {}).get("data") or []
            found = {code for error in errors for code in short_codes(error, self._client.secret)}
            codes = ", ".join(sorted(found)) or "no reason given"
            raise SettingsError(f"the endpoint {self._url} does not accept a batch ({codes}); check the model and its limits")
        left = self._wanted.keys() & set(batch.keys)
        unasked = set(batch.keys) - left
        files = [state[name] for name in ("output_file_id", "error_file_id") if state.get(name)]
        for row in chain.from_iterable(self._files.rows(file_id) for file_id in files):
            key = row.get("custom_id")
            reply = _reply(row)
            if key in left and reply is not None:
                left.remove(key)
                yield from self._settle(key, batch.path, reply, unsent)
        for key in sorted(left):
            yield from self._settle(key, batch.path, Reply(None, problem=f"batch {state['status']}"), unsent)
        # It stays on record until its answers are committed, without the rows that go into another one.
        kept = replace(batch, keys=[key for key in batch.keys if key not in {request.key for request in unsent}])
        if state["status"] == _GONE or not kept.keys:
            self._pending.remove(batch)
            return
        if kept != batch:
            self._pending.add(kept)
        self._yielded[kept.batch_id] = kept
        self._parked |= dict.fromkeys(unasked, kept)

    def _settle(self, key: str, path: str, reply: Reply, unsent: list[Request]) -> Iterator[Completion]:
        result = self._reader.read(key, path, reply)
        reserved = self._reserved.pop(key, Reservation(0, 0))
        self._budget.settle(reserved, *result.cost(reserved))
        if result.end is not None:
            raise result.end
        completion = result.completion
        if completion is None:
            reason = result.again or ""
            if self._attempts[key] < self._runtime.max_attempts:
                self.usage.retries[reason] += 1
                unsent.append(self._wanted[key])
                return
            self._given_up[reason] += 1
            problem = f"the endpoint did not answer in {self._attempts[key]} batches, last because of: {reason}"
            completion = Completion(key, [], "error", problem=problem)
        if completion.problem is None:
            self.usage.answered += 1
        else:
            self._settled.add(key)
            self.usage.failures[result.again or completion.problem] += 1
        del self._wanted[key]
        self._parked.pop(key, None)
        yield completion


def _reply(row: dict[str, Any]) -> Reply | None:
    """Return a row of a file as the reply that it would have been alone; None for one that was not worked on."""
    response = row.get("response")
    if isinstance(response, dict) and isinstance(response.get("status_code"), int):
        return Reply(response["status_code"], response.get("body"))
    code = (row.get("error") or {}).get("code")
    return None if code == _EXPIRED else Reply(500, {"error": row.get("error")})
