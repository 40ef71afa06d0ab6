"""Real parts that the core tests share: a store of each kind, a store that does not answer, a Prefect server."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.s3 import s3_filesystem
from tests.servers import S3Server, closed_port


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "local":
        return str(tmp_path / "store")
    server: S3Server = request.getfixturevalue("s3_environment")
    return f"s3://{server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def unreachable_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store of each kind that does not answer; the folder's parent is a file."""
    if request.param == "local":
        (tmp_path / "file").write_text("not a folder")
        return str(tmp_path / "file" / "store")
    return request.getfixturevalue("unreachable_s3_url")


@pytest.fixture
def unreachable_s3_url(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an S3 store at a port where nobody listens."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{closed_port()}")
        s3_filesystem.cache_clear()
        yield f"s3://{s3_environment.bucket}/unreachable"
    s3_filesystem.cache_clear()
