"""Tells the server's automations about a run that a schedule started, which its own scheduler does not."""

from prefect import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event


def announce_scheduled_run() -> None:
    """Emit the event that everything else about a scheduled run waits for.

    Every event about a run's state names the one before it, and automations see them in that order. Prefect 3.7's scheduler
    writes its runs into the database without an event, so that the server waits fifteen minutes for one before it looks at
    anything that follows: a run that crashed at night would not be resumed. An event has the id of the state that it is about,
    so the missing one can be sent from here. Runs that somebody starts have theirs.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not context.flow_run.auto_scheduled:
        return
    run = context.flow_run
    with get_client(sync_client=True) as client:
        states = sorted(client.read_flow_run_states(run.id), key=lambda state: state.timestamp)
    if states and states[0].is_scheduled():
        resource = {"prefect.resource.id": f"potstill.scheduled-run.{run.id}", "prefect.resource.name": run.name}
        emit_event("potstill.scheduled-run.announced", resource, occurred=states[0].timestamp, id=states[0].id)
