"""What the Prefect server knows of a flow run that is over."""

import time
from typing import Any

from prefect import State, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId


def task_runs(state: State, count: int, timeout_seconds: float = 60) -> list[Any]:
    """Return the task runs of a finished flow run, once the server has heard of so many and how each ended.

    It is told in the background, of one after another; after the timeout those that it knows are returned.
    """
    assert state.state_details.flow_run_id is not None
    these = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    deadline = time.monotonic() + timeout_seconds
    with get_client(sync_client=True) as client:
        while True:
            runs = client.read_task_runs(flow_run_filter=these)
            heard = len(runs) >= count and all(run.state is not None and run.state.is_final() for run in runs)
            if heard or time.monotonic() > deadline:
                return runs
            time.sleep(0.2)
