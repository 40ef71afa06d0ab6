"""What the security tests share: a store of each kind, and secrets that the process holds."""

import uuid
from pathlib import Path

import pytest

from tests.servers import S3Server

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
API_KEY = "not-a-known-form-of-key"
AUTH_STRING = "admin:correct-horse"
URL_PASSWORD = "battery-staple"


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "local":
        return str(tmp_path / "store")
    server: S3Server = request.getfixturevalue("s3_environment")
    return f"s3://{server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets in environment variables, as a worker has them; the values."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    monkeypatch.setenv("TEACHER_API_KEY", API_KEY)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", AUTH_STRING)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy:{URL_PASSWORD}@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")  # or the server of the tests would be looked for behind it
    return [AWS_SECRET, API_KEY, AUTH_STRING, URL_PASSWORD]
