"""Runs a stage where it belongs, unless its artefact is already there: then nothing is started, and the UI shows it as Cached."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import Flow, Task, get_client
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from prefect.states import Scheduled
from pydantic_core import to_jsonable_python

from tasks.core.artifact import Artifact
from tasks.core.caching import find_finished, result_storage, run_cached
from tasks.core.errors import StageFailedError
from tasks.core.fingerprint import fingerprint
from tasks.core.progress import stage_logger

_POLL_SECONDS = 2.0


def run_stage(stage_flow: Flow[..., Artifact], stage_task: Task[..., Artifact], label: str, **arguments: Any) -> Artifact:
    """Return a stage's artefact, running the stage's flow as a subflow if the artefact has still to be made.

    Args:
        stage_flow: The stage's flow.
        stage_task: The cached task that the flow runs.
        label: What the run is called in the UI.
        arguments: The stage's arguments; ``store`` is one of them.

    Raises:
        StoreUnreachableError: If the store does not answer; nothing is started.
    """
    if find_finished(stage_task, **arguments) is not None:
        return run_cached(stage_task.with_options(task_run_name=label), **arguments)
    named = stage_flow.with_options(flow_run_name=label, result_storage=result_storage(arguments["store"]))
    return named(**arguments)


def run_deployed(deployment: str, parameters: Sequence[dict[str, Any]], max_attempts: int) -> None:
    """Run a deployment once for each set of parameters, at the same time, on whatever workers its pool has.

    A retried parent finds its earlier runs again by their idempotency keys: finished ones are not repeated. A run that crashed,
    as those of preempted workers do, is scheduled anew in its place.

    Args:
        deployment: ``flow/deployment``.
        parameters: Parameters of each run; JSON values and pydantic models.
        max_attempts: How often one run may be started.

    Raises:
        StageFailedError: If a run failed, was cancelled or crashed too often; the others are left to finish.
    """
    open_runs: dict[UUID, bool] = {}
    restarts: Counter[UUID] = Counter()  # a run that no worker can start crashes without being counted as run
    for values in parameters:
        body = to_jsonable_python(values)
        key = f"{flow_run.get_id()}-{fingerprint(body)}"
        run: Any = run_deployment(deployment, parameters=body, timeout=0, idempotency_key=key, as_subflow=True)
        open_runs[run.id] = True
    with get_client(sync_client=True) as client:
        while open_runs:
            for run_id, just_found in list(open_runs.items()):
                run = client.read_flow_run(run_id)
                open_runs[run_id] = False
                if run.state is None or not run.state.is_final():
                    continue
                if run.state.is_completed():
                    del open_runs[run_id]
                    continue
                # One that failed before a parent's retry gets another go; a failure under our eyes is final.
                again = run.state.is_crashed() or (just_found and not run.state.is_cancelled())
                attempts = max(run.run_count, restarts[run_id] + 1)
                if not again or attempts >= max_attempts:
                    raise StageFailedError(
                        f"{deployment} ended as {run.state.name} after {attempts} attempts; see flow run {run.name}, "
                        "then run again: finished work is kept"
                    )
                stage_logger().warning("%s: %s is %s, scheduled again", deployment, run.name, run.state.name)
                restarts[run_id] += 1
                client.set_flow_run_state(run_id, Scheduled(message="scheduled again by its parent"), force=True)
            time.sleep(_POLL_SECONDS)
