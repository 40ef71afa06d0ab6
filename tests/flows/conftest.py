"""What the tests of the flows share: a recipe of the whole path on S3, and a server that was set up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prefect_stack import PrefectServer
from tests.recipes import tiny_recipe
from tests.servers import S3Server


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, s3_environment: S3Server) -> Path:
    """A recipe whose teacher is a tiny model and whose student is half of it; its artefacts live on S3."""
    return tiny_recipe(tmp_path_factory.mktemp("distill"), store=f"s3://{s3_environment.bucket}/distill")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, s3_environment: S3Server) -> Iterator[PrefectServer]:
    """A server with all that ``python -m deployments.setup`` makes, and no worker."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect-server"))
    try:
        assert "deployment distill/quickstart: is missing" in server.set_up()
        yield server
    finally:
        server.stop()
