"""What a run does while its store does not answer: it waits, in a state that says so, and goes on when the store is back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from uuid import UUID

from prefect import get_client
from prefect.runtime import flow_run
from prefect.states import Running

from tasks.core.errors import StoreUnreachableError
from tasks.core.progress import stage_logger
from tasks.core.recovery import RecoverySettings
from tasks.core.storage import open_store

STATE = "WaitingForStore"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 2.0, 60.0
_Found = TypeVar("_Found")


def through_outages(store: str, recovery: RecoverySettings, work: Callable[[], _Found]) -> _Found:
    """Return what ``work`` returns, called again after every time that the store did not answer and came back.

    Args:
        store: URL of the store.
        recovery: How long to wait for it.
        work: What needs the store; it must be safe to call again.

    Raises:
        StoreUnreachableError: If the store stays away for longer than ``recovery.max_store_outage_seconds``.
    """
    while True:
        try:
            return work()
        except StoreUnreachableError as error:
            wait_for_store(store, recovery, error)


def wait_for_store(store: str, recovery: RecoverySettings, error: StoreUnreachableError) -> None:
    """Wait until a store answers; meanwhile the flow run's state is called ``WaitingForStore``.

    Raises:
        StoreUnreachableError: ``error``, if the store stays away for longer than ``recovery.max_store_outage_seconds``.
    """
    deadline, pause = time.monotonic() + recovery.max_store_outage_seconds, _FIRST_PAUSE_SECONDS
    with _state_named(STATE, str(error)):
        stage_logger().warning("%s; waiting for it for up to %.0f s", error, recovery.max_store_outage_seconds)
        while time.monotonic() < deadline:
            time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
            with suppress(StoreUnreachableError):
                open_store(store).size("probe/answers")
                stage_logger().info("the store %s answers again", store)
                return
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        raise error


@contextmanager
def _state_named(name: str, message: str) -> Iterator[None]:
    """Give the flow run that we are in a running state of another name until the block ends."""
    this = flow_run.get_id()
    if this is None:
        yield
        return
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(this), Running(name=name, message=message), force=True)
        try:
            yield
        finally:
            client.set_flow_run_state(UUID(this), Running(), force=True)
