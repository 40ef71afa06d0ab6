"""The garbage collection of a store; ``python -m flows.garbage STORE`` lists what would be dropped, ``--delete`` drops it."""

if __name__ == "__main__":  # before the imports below: --help must not wait seconds for Prefect to load
    import sys

    from flows.garbage_command import main

    sys.exit(main())

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from prefect import flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType

from tasks.core.errors import SettingsError
from tasks.core.garbage.collection import Collection
from tasks.core.storage import open_store
from tasks.garbage import GarbageSettings, collect

_UNDER_WAY = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED]))
_PAGE = 200
_CLOCKS_DIFFER = timedelta(minutes=1)


@flow(name="garbage-collection", flow_run_name="garbage-collection")
def collect_garbage(settings: GarbageSettings) -> Collection:
    """List what a store holds that nothing needs any more, and drop it unless it is a dry run."""
    return collect(settings, lambda moment: run_since(settings.store, moment))


def run_since(store: str, moment: datetime) -> str | None:
    """Return which run is at work on a store, or was after a moment, as far as the Prefect server knows; None if none.

    A run that was killed before the server could notice counts until somebody cancels or deletes it there.

    Args:
        store: URL of the store.
        moment: Runs that ended before it do not count.
    """
    wanted = open_store(store).url
    ended = FlowRunFilter(end_time=FlowRunFilterEndTime.model_validate({"after_": moment - _CLOCKS_DIFFER}))
    with get_client(sync_client=True) as client:
        for run in chain(_runs(client, FlowRunFilter(state=_UNDER_WAY)), _runs(client, ended)):
            ours = any(_may_be(found, wanted) for found in _stores_in(run.parameters))
            if ours and client.read_flow(run.flow_id).name != collect_garbage.name:
                return f"the flow run {run.name} ({run.id})"
    return None


def _runs(client: SyncPrefectClient, wanted: FlowRunFilter) -> Iterator[FlowRun]:
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=offset):
        yield from page
        offset += len(page)


def _stores_in(parameters: Any) -> Iterator[str]:
    """Yield every store that a run's parameters name: its own, and those of the artefacts that it was given."""
    if isinstance(parameters, list):
        for item in parameters:
            yield from _stores_in(item)
    elif isinstance(parameters, dict):
        for name, value in parameters.items():
            if name == "store" and isinstance(value, str):
                yield value
            else:
                yield from _stores_in(value)


def _may_be(found: str, wanted: str) -> bool:
    """Return whether a run's store may be the wanted one; a relative path is one in a folder that is not known here."""
    if not found.startswith("s3://") and not Path(found).expanduser().is_absolute():
        return not wanted.startswith("s3://")
    try:
        return open_store(found).url == wanted
    except SettingsError:  # no store of ours
        return False
