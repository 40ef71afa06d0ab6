"""One finished run of the whole path, on S3, that the tests of the flow share."""

from pathlib import Path

import pytest

from flows.distill import distill
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tests.recipes import tiny_recipe
from tests.servers import S3Server


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, s3_environment: S3Server) -> Path:
    """A recipe whose teacher is a tiny model and whose student is half of it; its artefacts live on S3."""
    return tiny_recipe(tmp_path_factory.mktemp("distill"), store=f"s3://{s3_environment.bucket}/distill")


@pytest.fixture(scope="session")
def report(recipe: Path, prefect_server: None) -> Artifact:
    """The report of a first, undisturbed run."""
    return distill(load_recipe(recipe))
