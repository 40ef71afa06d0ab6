"""Crashed distillations that the automation missed: each process worker looks for them and has them go on.

Prefect 3.7.7 keeps the order of events in memory. To a server that was restarted, a crash follows a state that it has not seen;
it lays the event aside for 15 minutes, and then drops what an automation should have done by then. Without this, a run that
crashes after its server was restarted would stay as it is until somebody retries it.
"""

from datetime import timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.states import AwaitingRetry
from prefect.types import DateTime

AUTOMATION = "potstill-resume-crashed-runs"
STARTS = 20  # as many as the automation allows
_TAG = "potstill-run"
_MISSED = timedelta(seconds=120)  # the automation does it within 30 s, and a busy server may take another minute
_FORGOTTEN = timedelta(days=1)


async def resume_missed_crashes(client: PrefectClient) -> None:
    """Schedule again what crashed some time ago and still lies there, unless the operator has switched the automation off.

    Raises:
        httpx.HTTPError: If the server does not answer.
    """
    now = DateTime.now("UTC")
    crashed = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[_TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        end_time=FlowRunFilterEndTime(after_=now - _FORGOTTEN, before_=now - _MISSED),
    )
    missed = [run for run in await client.read_flow_runs(flow_run_filter=crashed) if run.run_count < STARTS]
    if missed and any(automation.enabled for automation in await client.read_automations_by_name(AUTOMATION)):
        for run in missed:
            await client.set_flow_run_state(run.id, AwaitingRetry(message="resumed by a worker: the automation missed its crash"))
