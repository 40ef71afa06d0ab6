"""Prefect's command line with a process worker that can be trusted: ``python -m deployments.process_worker worker start``.

It adds three things to Prefect 3.7.7's. A server that is slow lists a run as due that the worker has taken since it asked;
Prefect's own then wants a second place for it, which its limiter refuses with an error that ends the worker, and with it every
run on the machine. A run sends heartbeats only once its process has loaded everything: of a machine that is lost between taking
a run and starting it nobody would ever hear, and the run would be pending for ever; so the worker sends the first heartbeats.
And with its own heartbeats it looks after runs whose crash the server has missed (missed_crashes.py).
"""

import asyncio
import warnings
from typing import Any

from prefect.cli import app
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from deployments.missed_crashes import resume_missed_crashes

_OURS = "potstill"  # the tag of deployments whose runs send heartbeats; silence means nothing in others
_BEAT_SECONDS = 30
_BEATS = 5  # a process that takes more than two minutes and the 90 s of silence to start is taken for dead

with warnings.catch_warnings(action="ignore"):  # that it takes the place of Prefect's own is meant

    class SteadyProcessWorker(ProcessWorker):
        """A process worker that passes over what it is running, and speaks for a run until that does so itself."""

        async def _submit_scheduled_flow_runs(self, flow_run_response: list[Any]) -> list[Any]:
            held = self._limiter.statistics().borrowers if self._limiter else ()  # a run that is still due is listed again
            return await super()._submit_scheduled_flow_runs(
                [entry for entry in flow_run_response if entry.flow_run.id not in held]
            )

        async def sync_with_backend(self) -> None:
            """Send the worker's heartbeat, and resume what nobody else does."""
            await super().sync_with_backend()
            await resume_missed_crashes(self.client)

        async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
            beat(flow_run)
            return await super()._propose_pending_state(flow_run)

        async def run(
            self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: Any = None
        ) -> ProcessWorkerResult:
            """Run a flow run's process to its end."""
            beats = asyncio.create_task(_beat_on(flow_run))
            try:
                return await super().run(flow_run, configuration, task_status)
            finally:
                beats.cancel()


def beat(run: FlowRun) -> None:
    """Send a heartbeat of one of our flow runs, as its own process does later."""
    if _OURS not in run.tags:
        return
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}
    emit_event(event="prefect.flow-run.heartbeat", resource=resource)


async def _beat_on(run: FlowRun) -> None:
    for _ in range(_BEATS):
        beat(run)
        await asyncio.sleep(_BEAT_SECONDS)


if __name__ == "__main__":
    app()
