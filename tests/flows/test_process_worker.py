"""A worker goes on when a slow server lists a run that it has taken already."""

from uuid import uuid4

import anyio
import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from deployments.missed_crashes import AUTOMATION, STARTS
from deployments.process_worker import SteadyProcessWorker
from tests.prefect_stack import ROOT


@pytest.mark.parametrize(("kind", "survives"), [(SteadyProcessWorker, True), (ProcessWorker, False)])
def test_a_run_that_has_its_place_is_not_taken_again(kind: type[ProcessWorker], survives: bool) -> None:
    run = FlowRun(flow_id=uuid4(), name="generations")
    listed = [WorkerFlowRunResponse(work_pool_id=uuid4(), work_queue_id=uuid4(), flow_run=run)]

    async def list_it_late() -> list[FlowRun]:
        worker = kind(work_pool_name="teacher-gpu", limit=1)
        worker._limiter = anyio.CapacityLimiter(1)
        worker._limiter.acquire_on_behalf_of_nowait(run.id)
        return await worker._submit_scheduled_flow_runs(listed)

    if survives:
        assert anyio.run(list_it_late) == []
    else:  # once this does not fail any more, our worker is not needed
        with pytest.raises(RuntimeError, match="already holding"):
            anyio.run(list_it_late)


def test_missed_crashes_are_resumed_as_often_as_the_automation_would() -> None:
    automations = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8"))
    (automation,) = [each for each in automations if each["name"] == AUTOMATION]
    assert [int(count) for count in automation["trigger"]["match"]["prefect.run-count"]] == list(range(STARTS))


def test_prefect_takes_it_for_its_own() -> None:
    assert BaseWorker.get_worker_class_from_type("process") is SteadyProcessWorker
