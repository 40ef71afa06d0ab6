"""Runs a stage where it belongs, unless its artefact is already there: then nothing is started, and the UI shows it as Cached."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from prefect import Flow, Task

from flows.child_runs import run_deployed
from flows.store_outage import through_outages
from tasks.core.artifact import Artifact
from tasks.core.caching import find_finished, result_storage, run_cached
from tasks.core.errors import PotstillError, PreemptedError, StageFailedError, StoreUnreachableError
from tasks.core.progress import stage_logger
from tasks.core.recovery import Budget, RecoverySettings


class Stages:
    """The stages of one run.

    Args:
        store: URL of the store that all of them work on.
        recovery: What is done about one that ends badly.
    """

    def __init__(self, store: str, recovery: RecoverySettings) -> None:
        self._store, self._recovery = store, recovery

    def run(
        self,
        stage_flow: Flow[..., Artifact],
        stage_task: Task[..., Artifact],
        label: str,
        deployment: str | None,
        gpus: int | None = None,
        **arguments: Any,
    ) -> Artifact:
        """Return a stage's artefact, running the stage's flow if the artefact has still to be made.

        Args:
            stage_flow: The stage's flow.
            stage_task: The cached task that the flow runs.
            label: What the run is called in the UI.
            deployment: Name of the flow's deployment that runs it; None: it is a subflow in this process.
            gpus: GPUs that it takes on the deployment's worker; None: it takes none, or as many as the deployment says.
            arguments: The stage's arguments, but for ``store``.

        Raises:
            StoreUnreachableError: If the store stays away for longer than the settings allow.
            PotstillError: What the stage ended by, once its budget is spent or if no other try can help.
        """
        arguments["store"] = self._store
        finished = through_outages(self._store, self._recovery, lambda: find_finished(stage_task, **arguments))
        if finished is not None:
            named = stage_task.with_options(task_run_name=label)
            return through_outages(self._store, self._recovery, lambda: run_cached(named, **arguments))
        if deployment is None:
            return through_outages(self._store, self._recovery, lambda: self._run_here(stage_flow, label, arguments))
        return self._run_elsewhere(f"{stage_flow.name}/{deployment}", stage_task, label, gpus, arguments)

    def _run_here(self, stage_flow: Flow[..., Artifact], label: str, arguments: dict[str, Any]) -> Artifact:
        budget = Budget(self._recovery)
        named = stage_flow.with_options(flow_run_name=label, result_storage=result_storage(self._store))
        named.fn = _never_met_before(named.fn)
        while True:
            try:
                return named(**arguments)
            except (PreemptedError, StoreUnreachableError):  # we are to stop ourselves; and the store is waited for elsewhere
                raise
            except PotstillError as error:
                wait = budget.wait_after(type(error))
                if wait is None:
                    raise
                stage_logger().warning("%s ended by %s; tried again in %.0f s", label, type(error).__name__, wait)
                time.sleep(wait)

    def _run_elsewhere(
        self, deployment: str, stage_task: Task[..., Artifact], label: str, gpus: int | None, arguments: dict[str, Any]
    ) -> Artifact:
        def find() -> Artifact | None:
            return through_outages(self._store, self._recovery, lambda: find_finished(stage_task, **arguments))

        run_deployed(deployment, {label: arguments}, self._store, self._recovery, gpus, lambda _: find() is not None)
        made = find()
        if made is None:
            raise StageFailedError(f"{label} was made and is gone from the store {self._store} again; run again to make it anew")
        return made


def _never_met_before(function: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """Return a stage's function under a name that no earlier attempt of this run has used.

    Prefect knows the subflows of a run that is started again by their function and their number: "the first call of this flow".
    With the stages before it found in the store, another stage is the first now, and would be given the result of the one that
    was it then. What is finished is found in the store, so nothing is lost by meeting no subflow again.
    """

    @wraps(function)
    def stage(*args: Any, **kwargs: Any) -> Artifact:
        return function(*args, **kwargs)

    stage.__qualname__ = f"{function.__name__}-{uuid4().hex}"
    return stage
