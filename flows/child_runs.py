"""Work done by flow runs of deployments on other workers, which outlive us and are found again when we are started again."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
from prefect import State, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from prefect.states import AwaitingRetry
from pydantic_core import to_jsonable_python

from flows.child_run import ChildProgress, cause_of_end, link_to
from flows.store_outage import wait_for_store
from tasks.core.errors import (
    GivenUpError,
    StageCancelledError,
    StageFailedError,
    StoreUnreachableError,
    TerminalError,
)
from tasks.core.fingerprint import fingerprint
from tasks.core.progress import stage_logger
from tasks.core.recovery import Budget, RecoverySettings

_POLL_SECONDS = 2.0


def run_deployed(
    deployment: str,
    parameters: dict[str, dict[str, Any]],
    store: str,
    recovery: RecoverySettings,
    gpus: int | None = None,
    is_made: Callable[[str], bool] = lambda _: True,
) -> None:
    """Run a deployment once for each set of parameters, at the same time, on whatever workers its pool has.

    A parent that is started again finds its earlier runs by their idempotency keys: finished ones are not repeated, those at work
    are watched on. Cancelling the parent has the server cancel them.

    Args:
        deployment: ``flow/deployment``.
        parameters: Parameters of each run, by what it is called; JSON values and pydantic models.
        store: URL of the store, which is waited for if a run could not reach it.
        recovery: How often a run that ended badly is scheduled anew in its place.
        gpus: GPUs that each run takes, where its work pool gives them out; None: as many as the deployment says.
        is_made: Tells whether what the run of a label was to make is there.

    Raises:
        TerminalError: What a run ended by, if no other try can help; ``GivenUpError`` once its budget is spent or after an error
            that nobody foresaw, ``StageCancelledError`` if somebody cancelled it. The other runs are left to finish.
        StageFailedError: If what a run made is not in our store.
    """
    with get_client(sync_client=True) as client:
        children = [_Child(label, deployment, store, recovery, is_made) for label in parameters]
        for child, values in zip(children, parameters.values(), strict=True):
            child.start(to_jsonable_python(values), gpus)
        while open_children := [child for child in children if not child.is_done]:
            for child in open_children:
                try:
                    child.look_after(client)
                except httpx.HTTPError as error:
                    if not _is_outage(error):
                        raise
                    stage_logger().warning("the Prefect server does not answer (%s); asked again", type(error).__name__)
            time.sleep(_POLL_SECONDS)


def _is_outage(error: httpx.HTTPError) -> bool:
    """Tell a server that is being restarted, while the runs go on without it, from one that refuses."""
    return not isinstance(error, httpx.HTTPStatusError) or error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR


class _Child:
    """One flow run, from its start to a good end. Its budget is ours: who retries us gives it a new one."""

    def __init__(
        self, label: str, deployment: str, store: str, recovery: RecoverySettings, is_made: Callable[[str], bool]
    ) -> None:
        self.is_done = False
        self._label, self._deployment, self._store, self._recovery, self._is_made = label, deployment, store, recovery, is_made
        self._budget, self._progress = Budget(recovery), ChildProgress(label)
        self._is_new_to_us = True
        self._due: float | None = None  # when it is scheduled again; a worker may report one crash twice, and the second wins
        self._state = ""
        self._id = UUID(int=0)

    def start(self, body: dict[str, Any], gpus: int | None) -> None:
        """Create the run, or find the one that an earlier attempt of ours created."""
        run: Any = run_deployment(
            self._deployment,
            parameters=body,
            timeout=0,
            idempotency_key=f"{flow_run.get_id()}-{fingerprint(body)}",
            as_subflow=True,
            flow_run_name=self._label,
            job_variables=None if gpus is None else {"gpu_count": gpus},
        )
        self._id = run.id
        stage_logger().info("%s is a run of %s: %s", self._label, self._deployment, link_to(run))

    def look_after(self, client: SyncPrefectClient) -> None:
        """See how the run is, and do what its state asks for."""
        run = client.read_flow_run(self._id)
        self._tell(run)
        state, is_new_to_us, self._is_new_to_us = run.state, self._is_new_to_us, False
        if state is None or not state.is_final():
            self._due = None
            self._progress.show(client, run)
        elif state.is_completed() and self._is_made(self._label):
            self.is_done = True
        elif is_new_to_us and not state.is_crashed():  # it ended before we were started again: it gets another go
            self._schedule(client, run)
        elif self._due is None:
            self._due = time.monotonic() + self._wait(run, state)
        elif time.monotonic() >= self._due:
            self._schedule(client, run)

    def _tell(self, run: FlowRun) -> None:
        name = run.state.name if run.state is not None and run.state.name else "Scheduled"
        if name != self._state:
            self._state = name
            stage_logger().info("%s: %s", self._label, name)

    def _wait(self, run: FlowRun, state: State) -> float:
        """Return how long to wait before a run that ended badly is scheduled again; raise if it is not to be."""
        where = f"{self._label}, a run of {self._deployment}, ended as {state.name}; see {link_to(run)}"
        if state.is_completed():
            raise StageFailedError(
                f"{self._label} completed as a run of {self._deployment}, but what it made is not in the store {self._store}: "
                "its worker has another one by that name; give a store that all workers reach, such as s3://bucket/prefix"
            )
        if state.is_cancelled():
            raise StageCancelledError(f"{where}. Run again to go on: finished work is kept")
        cause = cause_of_end(run)
        if cause is StoreUnreachableError:
            wait_for_store(self._store, self._recovery, StoreUnreachableError(state.message or where))
            return 0
        wait = self._budget.wait_after(cause)
        if wait is None:
            error = cause if cause is not None and issubclass(cause, TerminalError) else GivenUpError
            raise error(f"{where}, after {max(self._budget.spent, 1)} attempts ({state.message}). Finished work is kept")
        stage_logger().warning("%s ended as %s and is scheduled again in %.0f s", self._label, state.name, wait)
        return wait

    def _schedule(self, client: SyncPrefectClient, run: FlowRun) -> None:
        self._due = None
        client.set_flow_run_state(run.id, AwaitingRetry(message="scheduled again by its parent"), force=True)
