"""Keeps secrets out of what a run shows: log lines, tracebacks, error messages and the results that hold them.

A secret is what an environment variable with a telling name holds, the password of a URL, what follows ``Bearer``, and any
value that ``hide`` was told of. It is known by its value, so it does not matter which library quotes it.
"""

import base64
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tasks.core.errors import PotstillError, TerminalError

WITHHELD = "[withheld]"

_NAME = re.compile(
    r"(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|_KEY|AUTH_STRING|BEARER_TOKEN_BEDROCK)\d*$"
    r"|^AWS_SECRET_|(?:SECRET|PASSWORD)_(?!.*(?:FILE|PATH|NAME|ID|ARN)$)",
    re.IGNORECASE,
)
_SHORTEST = 6  # characters; a shorter value would black out ordinary words
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE)
_BEARER = re.compile(r"(\bBearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_told: set[str] = set()


def hide(value: str) -> None:
    """Have a value withheld from now on; for a secret that comes from elsewhere than a variable with a telling name."""
    if len(value) >= _SHORTEST:
        _told.add(value)


def withhold(text: str) -> str:
    """Return a text without the secrets of this process."""
    if forms := {form for secret in _secrets() for form in _forms(secret)}:
        longest_first = sorted(forms, key=len, reverse=True)  # a secret may hold another
        text = re.sub("|".join(map(re.escape, longest_first)), WITHHELD, text)
    return _BEARER.sub(rf"\1{WITHHELD}", _IN_URL.sub(rf"\1{WITHHELD}", text))


def without_secrets(error: Exception) -> Exception:
    """Return an error that says the same without secrets: itself, or one with its name if it cannot be changed.

    Its causes are changed as well, since whoever shows an error shows them too.
    """
    for part in _chain(error):
        part.args = tuple(withhold(value) if isinstance(value, str) else value for value in part.args)
    shown = str(error)
    if withhold(shown) == shown:
        return error
    kind = type(error) if isinstance(error, PotstillError) else TerminalError
    return kind(f"{type(error).__name__}: {withhold(shown)}")


def guard_logs() -> None:
    """Withhold secrets from every log record that this process makes, whichever logger it goes to, and from its last traceback.

    A filter would see only the records of the logger that it is set on; a record's factory sees those of all libraries.
    """
    if not isinstance(logging.getLogRecordFactory(), _Records):
        logging.setLogRecordFactory(_Records())
        sys.excepthook = _show_last


class _Records:
    """Makes log records; those with a secret are written out at once, without it."""

    def __init__(self) -> None:
        self._make = logging.getLogRecordFactory()

    def __call__(self, *args: Any, **values: Any) -> logging.LogRecord:
        record = self._make(*args, **values)
        try:
            text = record.getMessage()
        except Exception:  # the arguments do not fit the message; logging tells so, with both in full
            text = f"{record.msg} {record.args!r}"
        if (shown := withhold(text)) != text:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None:
            trace = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            if (shown := withhold(trace)) != trace:
                record.exc_info, record.exc_text = None, shown
        if record.stack_info:
            record.stack_info = withhold(record.stack_info)
        return record


def _show_last(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(withhold("".join(traceback.format_exception(kind, error, trace))))


def _secrets() -> Iterator[str]:
    yield from _told
    for name, given in os.environ.items():
        value = given.strip()
        with suppress(ValueError):  # no URL
            if "://" in value and (password := urlsplit(value).password):
                yield from (password, unquote(password))
        if _tells_of_a_secret(name):
            yield value
            if name.upper().endswith("AUTH_STRING"):  # user:password, sent as base64
                yield from (value.partition(":")[2], base64.b64encode(value.encode()).decode())


@lru_cache(maxsize=1024)  # every log line asks for every variable
def _tells_of_a_secret(name: str) -> bool:
    return _NAME.search(name) is not None


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as JSON writes it, and as a URL does."""
    if len(secret) >= _SHORTEST:
        yield from (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        part = waiting.pop()
        if part is not None and part not in found:
            found.append(part)
            waiting += [part.__cause__, part.__context__]
    return found
