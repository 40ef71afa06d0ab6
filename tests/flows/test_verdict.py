"""The verdict as the name of a run's state: what waits for the end of a run must know it by that name."""

import yaml

from flows.verdict import STATE_NAMES
from tests.prefect_stack import ROOT


def test_no_automation_takes_a_run_that_ended_with_a_verdict_for_one_that_has_gone_silent() -> None:
    automations = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8"))

    waiting = [automation["trigger"]["expect"] for automation in automations if "prefect.flow-run.Completed" in str(automation)]
    assert len(waiting) == len(automations) == 2
    for expected in waiting:
        assert {f"prefect.flow-run.{name}" for name in STATE_NAMES.values()} <= set(expected)
