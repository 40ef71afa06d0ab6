"""What a response means for its row: answered, ask again, refused, or the end of the work.

Of what a server says about an error, only its short codes are shown: its sentences may quote the prompt, and its echoes the key.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-\[\]]{0,47}")
_TRANSIENT = {408, 409, 425, 429}
_BUSY = {408, 429, 503, 504}
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"}


TORN = "torn body"
"""What is wrong with a response that ended too early, or is no JSON."""


class Verdict(Enum):
    """What to do about a response."""

    ANSWERED = "answered"
    AGAIN = "again"
    REFUSED = "refused"
    NOT_FOUND = "not found"
    DENIED = "denied"
    REDIRECTED = "redirected"
    NO_CREDIT = "no credit"


@dataclass(frozen=True)
class Reply:
    """A response, or that there was none."""

    status: int | None
    """HTTP status; None when no whole response came."""
    body: Any = None
    """JSON value of the body; None when it is none."""
    problem: str = ""
    """Why there is no whole response."""
    busy: bool = False
    """Whether the endpoint seems to have too much to do."""
    retry_after: str | None = None
    """The header of that name."""
    first_token_seconds: float | None = None
    """From sending the request to the first token of its answer; None unless the answer came in pieces."""
    last_token_seconds: float | None = None
    """The same to the last one."""


def judge(status: int, body: Any, secret: str | None = None) -> tuple[Verdict, str]:
    """Return what a status means, and the reason in a few words that quote neither prompt nor key.

    Args:
        status: HTTP status of a response, or of a row of a batch.
        body: Its body as JSON value.
        secret: The key, which is taken out of whatever the server echoes.
    """
    codes = short_codes(body.get("error") if isinstance(body, dict) else None, secret)
    reason = " ".join([f"HTTP {status}", *codes])
    if 200 <= status < 300:
        return Verdict.ANSWERED, reason
    if status in {401, 403}:
        return Verdict.DENIED, reason
    if status == 402 or (status == 429 and _NO_CREDIT & set(codes)):
        return Verdict.NO_CREDIT, reason
    if 300 <= status < 400:
        return Verdict.REDIRECTED, reason
    if status in _TRANSIENT or status >= 500:
        return Verdict.AGAIN, reason
    return (Verdict.NOT_FOUND if status == 404 else Verdict.REFUSED), reason


def is_busy(status: int) -> bool:
    """Return whether a status says that the endpoint has too much to do."""
    return status in _BUSY


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return how long a ``Retry-After`` header asks to wait, in seconds; None if it cannot be read (RFC 9110, 10.2.3).

    Args:
        header: Seconds, or an HTTP date.
        now: The time that a date is compared with; by default the clock's.
    """
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def short_codes(error: Any, secret: str | None) -> list[str]:
    """Return the codes in a server's error that say what is wrong, without its sentences.

    Args:
        error: The error as JSON value.
        secret: The key, which is taken out of whatever the server echoes.
    """
    if not isinstance(error, dict):
        return []
    found = [error.get("code") or error.get("type"), error.get("param")]
    codes = [code for code in found if isinstance(code, str) and _CODE.fullmatch(code)]
    return [code for code in codes if not (secret and (secret in code or code in secret))]
