"""What a finished run leaves in the Prefect UI."""

import pytest
from prefect.artifacts import MarkdownArtifact

from flows.summary import artifact_key
from tasks.comparing.settings import ReportSettings


@pytest.mark.parametrize("name", ["quickstart", "nq_open", "llama-3.1_8b.v2"])
def test_every_name_that_a_report_may_have_is_taken_by_prefect(name: str) -> None:
    report = ReportSettings(name=name)
    assert MarkdownArtifact(key=artifact_key(report.name, "report"), markdown="# Promote").key == artifact_key(name, "report")
