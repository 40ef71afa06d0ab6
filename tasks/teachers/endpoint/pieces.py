"""An answer that comes in pieces, put together as if it had come whole, with the moments at which its text came.

The pieces are server-sent events (WHATWG HTML Living Standard, section 9.2), one JSON value a line after ``data:``, as the OpenAI
API sends them for ``stream: true``.
"""

import json
import time
from typing import Any

_TEXTS = ("content", "reasoning", "reasoning_content", "refusal")
_END = b"[DONE]"


class Pieces:
    """Collects the pieces of one answer; seconds are from when this was made, which is when the request is sent."""

    def __init__(self) -> None:
        self.first_token_seconds: float | None = None
        """Until the first piece that says anything."""
        self.last_token_seconds: float | None = None
        """Until the last one."""
        self._started = time.monotonic()
        self._rest = b""
        self._said: dict[str, str] = {}
        self._finish_reason: Any = None
        self._usage: Any = None
        self._is_torn = False

    def feed(self, data: bytes) -> None:
        """Take what has come; a line that has not come to its end waits for the rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = line.removeprefix(b"data:").strip()
            if event != line.strip() and event != _END:
                try:
                    self._take(json.loads(event))
                except (ValueError, RecursionError, TypeError, AttributeError, IndexError):  # a shape that the API does not have
                    self._is_torn = True

    def whole(self) -> dict[str, Any]:
        """Return the body that a whole answer would have had.

        Raises:
            ValueError: If the answer has not come to its end.
        """
        if self._is_torn or self._finish_reason is None:
            raise ValueError("the answer has not come to its end")
        said: dict[str, Any] = (
            {"text": self._said["text"]} if "text" in self._said else {"message": {"content": "", **self._said}}
        )
        return {"choices": [{"finish_reason": self._finish_reason, **said}], "usage": self._usage}

    def _take(self, event: dict[str, Any]) -> None:
        self._usage = event.get("usage") or self._usage
        if "error" in event:
            self._is_torn = True
        for choice in event["choices"][:1] if "choices" in event else []:
            piece = choice.get("delta") or {}
            found = {name: piece[name] for name in _TEXTS if piece.get(name)}
            if choice.get("text") is not None:
                found["text"] = choice["text"]
            for name, text in found.items():
                self._said[name] = self._said.get(name, "") + text
            if any(found.values()):
                self.last_token_seconds = time.monotonic() - self._started
                self.first_token_seconds = self.first_token_seconds or self.last_token_seconds
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
