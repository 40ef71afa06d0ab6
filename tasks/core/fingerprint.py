"""Identity of settings, files and folders: SHA-256 over canonical JSON or over content, never over paths or times."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

SHORT = 16
"""Hex digits of a fingerprint that name a folder; the record inside holds all 64."""

_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """Serialise a JSON value so that equal values give equal text.

    Args:
        value: Dictionaries with string keys, lists, tuples, strings, numbers, booleans and None, nested at will.

    Raises:
        TypeError: If a value has no stable identity: a set, a callable, an object, a non-string key.
        ValueError: If a number is NaN or infinite.
    """
    _refuse_unstable_keys(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _refuse_unstable_keys(value: Any) -> None:
    # json.dumps would turn the keys 1 and "1" into the same text.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} has no stable identity; use a string")
            _refuse_unstable_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) is not int:  # a prompt is thousands of token ids
                _refuse_unstable_keys(item)


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hex digits; a file that did not change is read once a process."""
    stat = path.stat()
    return _digest_of_version(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest_of_version(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - size and time are the cache key
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of a folder's visible files, wherever the folder lies."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return fingerprint([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])
