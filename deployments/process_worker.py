"""Prefect's command line with a process worker that survives late answers: ``python -m deployments.process_worker worker start``.

A server that is slow lists a run as due that the worker has taken since it asked. Prefect 3.7.7 then wants a second place for it,
which its limiter refuses with an error that ends the worker, and with it every run on the machine.
"""

import warnings
from typing import Any

from prefect.cli import app
from prefect.workers.process import ProcessWorker

with warnings.catch_warnings(action="ignore"):  # that it takes the place of Prefect's own is meant

    class SteadyProcessWorker(ProcessWorker):
        """A process worker that passes over what it is running; a run that is still due afterwards is listed again."""

        async def _submit_scheduled_flow_runs(self, flow_run_response: list[Any]) -> list[Any]:
            held = self._limiter.statistics().borrowers if self._limiter else ()
            return await super()._submit_scheduled_flow_runs(
                [entry for entry in flow_run_response if entry.flow_run.id not in held]
            )


if __name__ == "__main__":
    app()
