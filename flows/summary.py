"""What a finished run leaves in the Prefect UI: the report as Markdown, its main tables, and a link to the page."""

import re

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from tasks.core.artifact import Artifact
from tasks.renderers.facts.case_study import case_study_table
from tasks.renderers.facts.verdict import conditions_table
from tasks.renderers.markdown import render_markdown
from tasks.report import read_report, report_file


def publish_summary(artifact: Artifact) -> None:
    """Create the Prefect artifacts of a report."""
    report = read_report(artifact)
    create_markdown_artifact(render_markdown(report), key=artifact_key(report.name, "report"), description="The report")
    for table, what in ((case_study_table(report), "case-study"), (conditions_table(report), "conditions")):
        create_table_artifact(table.records(), key=artifact_key(report.name, what), description=table.caption)
    page = report_file(artifact, "html")
    create_link_artifact(page.as_uri(), link_text="report.html", key=artifact_key(report.name, "page"), description=artifact.uri)


def artifact_key(report: str, what: str) -> str:
    """Return the key of one of a report's Prefect artifacts; keys have no dots and underscores, which reports' names may have."""
    return f"{re.sub('[^a-z0-9]+', '-', report)}-{what}"
