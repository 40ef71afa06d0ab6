"""What a finished run leaves in the Prefect UI: the report as Markdown, its main tables, and a link to the page."""

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from tasks.core.artifact import Artifact
from tasks.renderers.facts.case_study import case_study_table
from tasks.renderers.facts.verdict import conditions_table
from tasks.renderers.markdown import render_markdown
from tasks.report import read_report, report_file


def publish_summary(artifact: Artifact) -> None:
    """Create the Prefect artifacts of a report."""
    report = read_report(artifact)
    create_markdown_artifact(render_markdown(report), key=f"{report.name}-report", description="The report")
    for table, key in ((case_study_table(report), "case-study"), (conditions_table(report), "conditions")):
        create_table_artifact(table.records(), key=f"{report.name}-{key}", description=table.caption)
    page = report_file(artifact, "html")
    create_link_artifact(page.as_uri(), link_text="report.html", key=f"{report.name}-page", description=artifact.uri)
