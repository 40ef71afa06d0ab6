"""The bucket of a new compose project, on a real S3 server."""

import os
import subprocess
import sys

import pytest

from tests.docker.dockerfile import DOCKER
from tests.servers import S3Server

pytestmark = pytest.mark.slow


def make_bucket(server: S3Server, name: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run the script as the service ``bucket`` does."""
    environment = {**os.environ, **server.environment, **changes}
    command = [sys.executable, str(DOCKER / "make_bucket.py"), name]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)


def test_a_bucket_is_made_once_and_found_by_every_later_start(s3_environment: S3Server) -> None:
    assert [make_bucket(s3_environment, "of-compose").returncode for _ in range(2)] == [0, 0]


def test_wrong_keys_are_told_at_once(s3_environment: S3Server) -> None:
    refused = make_bucket(s3_environment, "of-nobody", AWS_SECRET_ACCESS_KEY="wrong")
    assert refused.returncode != 0
    assert "SignatureDoesNotMatch" in refused.stderr
