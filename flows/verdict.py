"""The state in which a distillation ends: the verdict is its name, so that automations can tell a hold from a promotion."""

from typing import Any

from prefect.states import Completed

from tasks.core.artifact import Artifact
from tasks.report import read_report

STATE_NAMES = {"promote": "Promote", "hold": "Hold", "inconclusive": "Inconclusive"}


def end_state(report: Artifact) -> Any:
    """Return a completed state named after a report's verdict: ``Promote``, ``Hold`` or ``Inconclusive``.

    A student that is held back is no failure: the run did what it was asked for, and its result is the report all the same.
    Prefect emits ``prefect.flow-run.Hold`` and the like, on which an automation can act.

    Returns:
        What a flow returns in the place of the report; Prefect hands the report on to the flow's caller.
    """
    content = read_report(report)
    return Completed(name=STATE_NAMES[content.verdict], message=content.reason, data=report)
