"""Talking HTTP to an endpoint: every call ends, and a failure is a value that names neither key nor prompt."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any, Self

import httpx

from tasks.teachers.endpoint.key import read_key
from tasks.teachers.endpoint.pieces import Pieces
from tasks.teachers.endpoint.reply import TORN, Reply, is_busy
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.endpoint.url import check_url

_MOST_BYTES = 64 << 20  # of one answer; log-probabilities of a very long one take some megabytes
_EVENTS = "text/event-stream"


class EndpointClient:
    """Connections to an endpoint; its methods may be called from many threads."""

    def __init__(self, settings: EndpointSettings, runtime: EndpointRuntime) -> None:
        """Check the URL and read the key; connects to nothing yet.

        Raises:
            SettingsError: If the URL is refused or the key is missing.
        """
        local = check_url(settings.url)
        self.secret = read_key(settings)
        self._timeout = runtime.timeout_seconds
        self._client = httpx.Client(
            base_url=settings.url,
            headers={"Authorization": f"Bearer {self.secret}"} if self.secret else {},
            timeout=httpx.Timeout(runtime.timeout_seconds, connect=runtime.connect_timeout_seconds),
            limits=httpx.Limits(
                max_connections=runtime.max_concurrency, max_keepalive_connections=runtime.max_concurrency, keepalive_expiry=30
            ),
            follow_redirects=False,  # the key would go wherever the endpoint points
            trust_env=not local,  # a proxy for the world outside does not reach this machine
        )

    def __repr__(self) -> str:
        return f"EndpointClient({str(self._client.base_url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Send a JSON value; where it asks for an answer in pieces, these are put together."""
        pieces = Pieces() if body.get("stream") else None
        content = json.dumps(body).encode()  # in ASCII: a prompt may hold half a surrogate pair, which UTF-8 cannot
        return self._call("POST", path, pieces, content=content, headers={"Content-Type": "application/json"})

    def get(self, path: str) -> Reply:
        """Ask for a JSON value."""
        return self._call("GET", path)

    def upload(self, path: str, name: str, content: IO[bytes], fields: dict[str, str]) -> Reply:
        """Send a file and form fields."""
        return self._call("POST", path, files={"file": (name, content, "application/jsonl")}, data=fields)

    def lines(self, path: str) -> Iterator[str]:
        """Yield the lines of a file as they arrive.

        Raises:
            httpx.HTTPError: If it does not come whole.
        """
        with self._client.stream("GET", path) as response:
            response.raise_for_status()
            yield from response.iter_lines()

    def _call(self, method: str, path: str, pieces: Pieces | None = None, **content: Any) -> Reply:
        deadline = time.monotonic() + self._timeout
        try:
            with self._client.stream(method, path, **content) as response:
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if pieces is not None:
                        pieces.feed(chunk)
                    if time.monotonic() > deadline:  # the library's own time-out starts again with every byte
                        return Reply(None, problem="time-out", busy=True)
                    if len(data) > _MOST_BYTES:
                        return Reply(None, problem="an answer that is too large")
                status, retry_after = response.status_code, response.headers.get("retry-after")
                if not response.headers.get("content-type", "").startswith(_EVENTS):
                    pieces = None  # whole after all, or an error
        except httpx.TimeoutException:
            return Reply(None, problem="time-out", busy=True)
        except httpx.HTTPError as error:  # its text may quote headers
            return Reply(None, problem=f"connection failed ({type(error).__name__})")
        try:
            body = json.loads(data) if pieces is None else pieces.whole()
        except (ValueError, RecursionError):
            problem = TORN if status < 300 else ""
            return Reply(None if problem else status, problem=problem, retry_after=retry_after, busy=is_busy(status))
        reply = Reply(status, body, busy=is_busy(status), retry_after=retry_after)
        if pieces is None:
            return reply
        return replace(reply, first_token_seconds=pieces.first_token_seconds, last_token_seconds=pieces.last_token_seconds)
