"""What every test stands on: an environment of its own, so that no test sees the user's Prefect, caches or settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.environment import prepare_libraries
from tasks.core.s3 import s3_filesystem
from tests.servers import S3Server, run_s3_server

os.environ["HF_HUB_OFFLINE"] = "1"
prepare_libraries()  # here, because test files import the libraries when they are collected

_LONGEST = ("flows", "trainers", "training", "test_generation_faults")
"""Folders and files whose tests start whole runs, workers and trainings, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, so that no core is left without work at the end while another does them."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(Path(__file__).parent)
        return ranks.get(place.with_suffix("").parts[0], len(ranks))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep Prefect's database and all caches of the session in a temporary folder, and the libraries quiet and offline."""
    home, base = tmp_path_factory.mktemp("home"), tmp_path_factory.getbasetemp()
    own = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "prefect" / "storage"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "XDG_CACHE_HOME": str(home / "cache"),
        # What vLLM finds out of each architecture, by a process that takes as long as an engine: for all workers of pytest-xdist.
        "VLLM_CACHE_ROOT": str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "vllm"),
    }
    before = {name: os.environ.get(name) for name in (*own, "PREFECT_API_URL")}
    os.environ.update(own)
    os.environ.pop("PREFECT_API_URL", None)
    yield home
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server on loopback that the AWS environment variables point to."""
    with pytest.MonkeyPatch.context() as patch, run_s3_server(tmp_path_factory.mktemp("s3")) as server:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name, value in server.environment.items():
            patch.setenv(name, value)
        s3_filesystem.cache_clear()
        yield server
    s3_filesystem.cache_clear()


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        with prefect_test_harness(server_startup_timeout=180):
            yield
