"""A store that refuses: wrong or expired credentials, and a clock that is off, each end in an error that says where to look."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.core.errors import StoreUnreachableError
from tasks.core.s3 import s3_filesystem
from tasks.core.storage import open_store
from tests.servers import S3Server

pytestmark = pytest.mark.slow

LOOK = """
import sys
from tasks.core.errors import StoreUnreachableError
from tasks.core.storage import open_store
try:
    print(open_store(sys.argv[1]).size("prompts/there/record.json"))
except StoreUnreachableError as error:
    print(f"StoreUnreachableError: {error}")
"""


def look_with_clock(store: str, offset: str) -> str:
    """Look for an object of a store in a process whose clock is off."""
    package = find_spec("libfaketime")
    assert package is not None
    assert package.origin is not None
    library = next(Path(package.origin).parent.rglob("libfaketime.so.1"))
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, store], check=True, capture_output=True, text=True, env=environment, timeout=120
    )
    return done.stdout


def test_a_key_that_is_not_valid_is_no_empty_store(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "expired-and-secret")
    s3_filesystem.cache_clear()
    try:
        with pytest.raises(StoreUnreachableError, match="credentials") as caught:
            open_store(f"s3://{s3_environment.bucket}/refused").size("prompts/there/record.json")
    finally:
        s3_filesystem.cache_clear()
    assert "expired-and-secret" not in str(caught.value)


@pytest.mark.parametrize("offset", ["-10m", "+10m"])
def test_a_clock_that_is_minutes_off_changes_nothing(s3_environment: S3Server, offset: str) -> None:
    store = f"s3://{s3_environment.bucket}/clock{offset.strip('+-')}"
    open_store(store).write("prompts/there/record.json", b"{}")

    assert look_with_clock(store, offset).strip() == "2"


@pytest.mark.parametrize("offset", ["-1d", "+1d"])
def test_a_clock_that_is_a_day_off_is_no_empty_store(s3_environment: S3Server, offset: str) -> None:
    store = f"s3://{s3_environment.bucket}/clock"
    open_store(store).write("prompts/there/record.json", b"{}")

    found = look_with_clock(store, offset)
    assert found.startswith("StoreUnreachableError"), found
    assert "this machine's clock" in found
