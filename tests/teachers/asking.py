"""How the tests ask a scripted endpoint: short waits, chats of one message, and what came before an error."""

from typing import Any

import pytest

from tasks.core.errors import BudgetExceededError, SettingsError, StageFailedError
from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.settings import Sampling
from tests.endpoints import ScriptedEndpoint

KEY = "sk-test-1234567890abcdef"
SAMPLING = Sampling(max_new_tokens=16)
QUICK = {"backoff_seconds": 0.01, "max_backoff_seconds": 0.1, "timeout_seconds": 5, "stop_grace_seconds": 3}


def chats(count: int) -> list[Request]:
    return [Request(f"row-{n}", [], seed=n, messages=({"role": "user", "content": f"item {n}"},)) for n in range(count)]


def endpoint_at(scripted: ScriptedEndpoint, sampling: Sampling = SAMPLING, **runtime: Any) -> Endpoint:
    settings = EndpointSettings(url=scripted.url, model="teacher-1")
    return Endpoint(settings, sampling, None, EndpointRuntime(**(QUICK | runtime)))


def until_error(endpoint: Endpoint, requests: list[Request]) -> tuple[list[Completion], Exception]:
    """Return what was yielded and the error that ended it."""
    completions: list[Completion] = []
    with pytest.raises((SettingsError, StageFailedError, BudgetExceededError)) as caught:
        for completion in endpoint.stream(ListFeed(requests)):
            completions.append(completion)
    return completions, caught.value
