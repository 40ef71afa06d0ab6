"""Where prompts come from: one strict reader a format.

A reader yields a ``SourceRow`` for every line or row it meets, good or bad, and never stops at a bad one. To add a format,
write its reader here as a file of its own and add its line to ``READERS``.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tasks.core.errors import SettingsError
from tasks.core.fingerprint import file_digest
from tasks.core.s3 import s3_filesystem
from tasks.core.storage import reaching
from tasks.sources.csv import read_csv
from tasks.sources.hub import hub_identity, read_hub
from tasks.sources.jsonl import read_jsonl
from tasks.sources.parquet import read_parquet
from tasks.sources.row import SourceRow

HUB_PREFIX = "hub:"
READERS: dict[str, Callable[[str, BinaryIO], Iterator[SourceRow]]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?:(?!::)[^?#*\[\]\\\x00-\x1f])+")

__all__ = ["HUB_PREFIX", "READERS", "SourceRow", "read_source", "source_identity"]


def read_source(source: str) -> Iterator[SourceRow]:
    """Yield the rows of a source.

    Args:
        source: A local path or ``s3://`` URL that ends in .jsonl, .csv or .parquet, or ``hub:organisation/name@revision:split``.

    Raises:
        SettingsError: If the format is unknown or there is no such file.
    """
    if source.startswith(HUB_PREFIX):
        yield from read_hub(source.removeprefix(HUB_PREFIX))
        return
    reader = READERS.get(Path(source).suffix)
    if reader is None:
        raise SettingsError(f"the source {source!r} has no known format; its name must end in one of {sorted(READERS)}")
    with _open(source) as file:
        yield from reader(source, file)


def source_identity(source: str) -> str:
    """Return what identifies a source's content wherever it lies: a SHA-256, or a hub data set's id and revision.

    Raises:
        SettingsError: If there is no such file, or the URL is of another kind.
    """
    if source.startswith(HUB_PREFIX):
        return hub_identity(source.removeprefix(HUB_PREFIX))
    if not source.startswith("s3://"):
        return file_digest(_existing(source))
    digest = hashlib.sha256()
    with _open(source) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _open(source: str) -> Iterator[BinaryIO]:
    if source.startswith("s3://"):
        if not _S3.fullmatch(source) or ".." in source.split("/"):
            raise SettingsError(f"the source {source!r} is not of the form s3://bucket/key: no chains (::), queries or patterns")
        try:
            with reaching(source), s3_filesystem().open(source, "rb") as raw, io.BufferedReader(raw) as file:
                yield file
        except FileNotFoundError as error:
            raise SettingsError(f"there is no object {source}; check the prompts section of the recipe") from error
        return
    with _existing(source).open("rb") as file:
        yield file


def _existing(source: str) -> Path:
    if "://" in source or "::" in source:
        raise SettingsError(f"the source {source!r} is neither a local path, nor s3://bucket/key, nor hub:organisation/name")
    path = Path(source).expanduser().resolve()
    if not path.is_file():
        raise SettingsError(f"there is no file {source!r} (looked for {path}); check the prompts section of the recipe")
    return path
