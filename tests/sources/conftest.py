"""What the source tests share: a function that reads bytes as a source."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.sources import SourceRow, read_source

ReadBytes = Callable[[str, bytes], list[SourceRow]]


@pytest.fixture
def read_bytes(tmp_path: Path) -> ReadBytes:
    """Return a function that writes bytes under a name and reads them as a source."""

    def read(name: str, content: bytes) -> list[SourceRow]:
        file = tmp_path / name
        file.write_bytes(content)
        return list(read_source(str(file)))

    return read
