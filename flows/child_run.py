"""A stage's flow run on another worker, as its parent sees it: how far it is, how it ended, and why."""

import re
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.utilities.urls import url_for

from tasks.core import errors
from tasks.core.errors import PotstillError, PreemptedError
from tasks.core.progress import stage_logger

_RAISED = re.compile(r"exception:? (\w+):")


def cause_of_end(run: FlowRun) -> type[PotstillError] | None:
    """Return what a flow run ended by, or None for an error that is none of ours.

    A run that crashed lost its process or its machine; one that failed has the name of its error in the state's message, which is
    all that travels between processes: results are JSON, and exceptions are none.
    """
    if run.state is None or run.state.is_crashed():
        return PreemptedError
    raised = _RAISED.search(run.state.message or "")
    named = getattr(errors, raised[1], None) if raised else None
    return named if isinstance(named, type) and issubclass(named, PotstillError) else None


def link_to(run: FlowRun) -> str:
    """Return where a flow run's page and logs are: its address in the UI, or its name where there is no UI."""
    return url_for("flow-run", run.id) or f"flow run {run.name}"


class ChildProgress:
    """Shows in the parent what a child shows on its own page: the newest progress artifact, in the log and as an artifact.

    Args:
        label: What the child is called.
    """

    def __init__(self, label: str) -> None:
        self._label, self._shown = label, ""
        self._artifact: Any = None

    def show(self, client: SyncPrefectClient, run: FlowRun) -> None:
        """Look at the child and show what is new."""
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]), type=ArtifactFilterType(any_=["progress"])
            ),
            sort=ArtifactSort.UPDATED_DESC,
            limit=1,
        )
        if not found or not isinstance(found[0].data, int | float):
            return
        percent, text = float(found[0].data), f"{self._label}: {found[0].description}"
        if text == self._shown:
            return
        self._shown = text
        stage_logger().info("%s (%.0f %%)", text, percent)
        if self._artifact is None:
            self._artifact = create_progress_artifact(percent, description=text)
        else:
            update_progress_artifact(self._artifact, percent, description=text)
