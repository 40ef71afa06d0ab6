"""Data sets of the Hugging Face hub, at a fixed revision."""

import re
from collections.abc import Iterator
from pathlib import Path

from tasks.core.errors import SettingsError
from tasks.sources.row import SourceRow

_SOURCE = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)@(?P<revision>[0-9a-f]{40}):(?P<split>[\w.-]+)")


def read_hub(source: str) -> Iterator[SourceRow]:
    """Yield the rows of ``organisation/name@revision:split``; the line is the row's number, from 1.

    Raises:
        SettingsError: If the source has another form (the revision is a full commit hash, so that the rows cannot change), or
            something local has its name.
    """
    from datasets import load_dataset

    part = _parse(source)
    if Path(part["name"]).exists():  # the library would read that instead, under the hub's identity
        raise SettingsError(
            f"there is a local file or folder {part['name']!r}, which the data sets library takes for the hub's data set; "
            "rename it or run elsewhere, or name its files as sources"
        )
    rows = load_dataset(part["name"], revision=part["revision"], split=part["split"])
    for number, values in enumerate(rows, start=1):
        yield SourceRow(f"hub:{source}", number, dict(values))


def hub_identity(source: str) -> str:
    """Return the identity of a hub data set: its id, revision and split.

    Raises:
        SettingsError: If the source has another form.
    """
    part = _parse(source)
    return f"hub:{part['name']}@{part['revision']}:{part['split']}"


def _parse(source: str) -> dict[str, str]:
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise SettingsError(
            f"the hub data set {source!r} is not of the form organisation/name@revision:split; "
            "the revision is the 40-digit commit hash from the data set's page"
        )
    return match.groupdict()
