"""What every test stands on: an environment of its own, so that no test sees the user's Prefect, caches or settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.environment import prepare_libraries


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep Prefect's database and all caches of the session in a temporary folder, and the libraries quiet and offline."""
    home = tmp_path_factory.mktemp("home")
    prepare_libraries()
    own = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "prefect" / "storage"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "XDG_CACHE_HOME": str(home / "cache"),
        "HF_HUB_OFFLINE": "1",
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
