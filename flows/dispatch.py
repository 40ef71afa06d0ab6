"""Runs a stage where it belongs, unless its artefact is already there: then nothing is started, and the UI shows it as Cached."""

from typing import Any

from prefect import Flow, Task

from tasks.core.artifact import Artifact
from tasks.core.caching import find_finished, result_storage, run_cached


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
