"""The Batch API of an endpoint: a file of requests goes up, a batch is made of it, and files of answers and errors come down."""

import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tasks.core.errors import PotstillError, SettingsError, StageFailedError
from tasks.teachers.endpoint.body import Call
from tasks.teachers.endpoint.client import EndpointClient
from tasks.teachers.endpoint.reply import Reply, Verdict, judge, retry_after_seconds
from tasks.teachers.endpoint.settings import EndpointRuntime

_WINDOW = "24h"
_MOST_REQUESTS = 50_000  # of one batch; OpenAI's limits, of which the size is 200 MB
_MOST_BYTES = 190_000_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_RANDOM = random.SystemRandom()
_Ended = Callable[[Verdict, str], PotstillError]


class BatchFiles:
    """Calls of the Batch API; every one is repeated while a repetition can help."""

    def __init__(self, client: EndpointClient, runtime: EndpointRuntime, ended: _Ended) -> None:
        """Remember whom to call.

        Args:
            client: Connections to the endpoint.
            runtime: How often and when a call is repeated.
            ended: Makes an error of a verdict that no repetition can change.
        """
        self._client, self._runtime, self._ended = client, runtime, ended

    def submit(self, lines: Path, path: str) -> str:
        """Make a batch of a file of requests.

        Args:
            lines: The requests as JSON lines.
            path: What they ask: ``CHAT`` or ``TEXT``.

        Returns:
            The batch's id.

        Raises:
            SettingsError: If the endpoint has no Batch API or denies access.
            BudgetExceededError: If the account has no credit left.
            StageFailedError: If it does not answer.
        """

        def upload() -> Reply:
            with lines.open("rb") as content:
                return self._client.upload("files", "batch.jsonl", content, {"purpose": "batch"})

        file_id = self._id(self._repeat(upload))
        wanted = {"input_file_id": file_id, "endpoint": f"/v1/{path}", "completion_window": _WINDOW}

        def create() -> Reply:
            return self._client.post("batches", wanted)

        def is_there_already() -> Any:
            listed = self._repeat(lambda: self._client.get("batches"))
            return next((batch for batch in listed.get("data") or [] if batch.get("input_file_id") == file_id), None)

        return self._id(self._repeat(create, is_there_already))

    def state(self, batch_id: str) -> dict[str, Any] | None:
        """Return what the endpoint says about a batch, or None if it no longer knows it."""
        return self._repeat(lambda: self._client.get(f"batches/{batch_id}"), missing=True)

    def rows(self, file_id: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a file of answers or errors.

        Raises:
            StageFailedError: If the file does not come whole.
        """
        try:
            with tempfile.TemporaryFile("w+", encoding="utf-8") as copy:  # no connection is held while rows are worked on
                copy.writelines(f"{line}\n" for line in self._client.lines(f"files/{file_id}/content") if line.strip())
                copy.seek(0)
                for line in copy:
                    yield json.loads(line)
        except (httpx.HTTPError, ValueError) as error:
            raise StageFailedError(
                f"the file {file_id} of a batch does not come whole ({type(error).__name__}); run again, the batch is kept"
            ) from None

    def _repeat(self, call: Callable[[], Reply], done: Callable[[], Any] | None = None, *, missing: bool = False) -> Any:
        """Return the body of a call's answer.

        Args:
            call: Makes the call.
            done: Finds out whether a call without an answer did its work all the same, which must not be done twice.
            missing: Return None for what the endpoint does not know.
        """
        problem = ""
        for attempt in range(self._runtime.max_attempts):
            if attempt:
                time.sleep(_RANDOM.uniform(0, min(self._runtime.max_backoff_seconds, self._runtime.backoff_seconds * 2**attempt)))
                if done is not None and (found := done()) is not None:
                    return found
            reply = call()
            problem = reply.problem
            if reply.status is None:
                continue
            verdict, problem = judge(reply.status, reply.body, self._client.secret)
            if verdict is Verdict.ANSWERED and isinstance(reply.body, dict):
                return reply.body
            if verdict is Verdict.NOT_FOUND and missing:
                return None
            if verdict not in {Verdict.AGAIN, Verdict.ANSWERED}:
                raise self._ended(verdict, problem)
            time.sleep(min(self._runtime.max_backoff_seconds, retry_after_seconds(reply.retry_after) or 0.0))
        raise StageFailedError(
            f"the endpoint's Batch API does not answer after {self._runtime.max_attempts} attempts, last because of: {problem}; "
            "run again: batches that were submitted are kept"
        )

    def _id(self, body: dict[str, Any]) -> str:
        found = body.get("id")
        if not isinstance(found, str) or not _ID.fullmatch(found):  # it becomes part of paths
            raise SettingsError("the endpoint gives no id for a file or a batch; it may have no Batch API: set batch to false")
        return found


def write_parts(folder: Path, calls: list[tuple[str, Call]]) -> Iterator[tuple[Path, list[str]]]:
    """Write calls as files that a batch may be made of.

    Args:
        folder: Where to write.
        calls: Keys of rows, and what they ask; all of one path.

    Yields:
        Such a file and the keys of its rows; the file holds until the next one is asked for.
    """
    file = folder / "batch.jsonl"
    keys: list[str] = []
    size = 0
    output = file.open("wb")
    for key, call in calls:
        row = {"custom_id": key, "method": "POST", "url": f"/v1/{call.path}", "body": call.body}
        line = json.dumps(row).encode() + b"\n"
        if keys and (len(keys) == _MOST_REQUESTS or size + len(line) > _MOST_BYTES):
            output.close()
            yield file, keys
            keys, size, output = [], 0, file.open("wb")
        output.write(line)
        keys.append(key)
        size += len(line)
    output.close()
    if keys:
        yield file, keys
