"""What the Prefect server knows of a run."""

import time

from prefect import State, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId
from prefect.logging.handlers import APILogHandler

_SECONDS = 30


def logs_of(state: State) -> str:
    """Return all that was logged in a finished flow run, as the server has it."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    APILogHandler().flush()
    deadline = time.monotonic() + _SECONDS
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])), limit=200)
            text = "\n".join(log.message for log in found)
            if "Finished in state" in text:
                return text
            assert time.monotonic() < deadline, f"the server has not got the logs: {text}"
            time.sleep(0.2)


def states_of(state: State) -> str:
    """Return the messages of all states of a finished flow run and of its task runs, as the server has them."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + _SECONDS
        while True:
            tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
            if tasks and all(run.state is not None and run.state.is_final() for run in tasks):
                break
            assert time.monotonic() < deadline, "the server has not heard how the tasks ended"
            time.sleep(0.2)
        states = [client.read_flow_run(run_id).state, *(run.state for run in tasks)]
        states += client.read_flow_run_states(run_id)
    return "\n".join(found.message or "" for found in states if found is not None)
