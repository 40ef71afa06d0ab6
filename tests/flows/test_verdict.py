"""The verdict as the name of a run's state: what waits for the end of a run must know it by that name."""

from datetime import UTC, datetime
from uuid import uuid4

import yaml
from prefect.server.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent

from flows.verdict import STATE_NAMES
from tasks.renderers.schema import Verdict
from tests.prefect_stack import ROOT


def test_no_automation_takes_a_run_that_ended_with_a_verdict_for_one_that_has_gone_silent() -> None:
    automations = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8"))

    waiting = [automation["trigger"]["expect"] for automation in automations if "prefect.flow-run.Completed" in str(automation)]
    assert len(waiting) == len(automations) == 2
    for expected in waiting:
        assert {f"prefect.flow-run.{name}" for name in STATE_NAMES.values()} <= set(expected)


def ended(verdict: Verdict, flow: str) -> ReceivedEvent:
    """Return the event that Prefect emits when a run of a flow ends with a verdict."""
    of_flow = {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.role": "flow", "prefect.resource.name": flow}
    return ReceivedEvent.model_validate(
        {
            "id": uuid4(),
            "occurred": datetime.now(UTC),
            "event": f"prefect.flow-run.{STATE_NAMES[verdict]}",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{uuid4()}"},
            "related": [of_flow],
        }
    )


def test_the_example_automation_acts_on_held_students_and_on_nothing_else() -> None:
    example = yaml.safe_load((ROOT / "deployments" / "held_student.yaml").read_text(encoding="utf-8"))
    trigger = AutomationCore.model_validate(example).trigger
    assert isinstance(trigger, EventTrigger)

    def acts_on(event: ReceivedEvent) -> bool:
        return trigger.covers(event) and trigger.expects(event.event)

    assert acts_on(ended("hold", "distill"))
    assert not acts_on(ended("promote", "distill"))
    assert not acts_on(ended("hold", "another-flow"))
