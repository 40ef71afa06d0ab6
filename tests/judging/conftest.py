"""The endpoint that the scripted judges are behind."""

from collections.abc import Iterator

import pytest

from tests.endpoints import ScriptedEndpoint, run_scripted_endpoint


@pytest.fixture
def scripted() -> Iterator[ScriptedEndpoint]:
    """A scripted endpoint on loopback."""
    with run_scripted_endpoint() as endpoint:
        yield endpoint
