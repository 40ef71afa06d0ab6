"""Where everything in the report came from."""

from typing import Any

from tasks.renderers.formats import UNKNOWN, duration, words
from tasks.renderers.schema import Report
from tasks.renderers.tables import Cell, Column, Table, present, text_columns


def artifacts_table(report: Report) -> Table:
    """Return every artefact that led to the report, with its SHA-256 over settings and inputs."""
    rows = [
        [
            Cell(words(name)),
            Cell(", ".join(f"{words(key)} {count:,}" for key, count in artifact.counts.items())),
            Cell(_seconds(report.stages.get(name, {}))),
            Cell(artifact.fingerprint),
        ]
        for name, artifact in report.lineage.artifacts.items()
    ]
    return Table("Artefacts", [*text_columns("artefact", "counts"), Column("time"), Column("fingerprint", kind="code")], rows)


def models_table(report: Report) -> Table:
    """Return the models with their revisions."""
    rows = [[Cell(model), Cell(report.lineage.models[model])] for model in present(report.lineage.models)]
    return Table("Models", text_columns("role", "name and revision"), rows)


def licences_table(report: Report) -> Table:
    """Return under which terms the models stand."""
    rows = [[Cell(name), Cell(terms)] for name, terms in report.lineage.licences.items()]
    return Table("Licences", text_columns("of", "terms"), rows)


def release_table(report: Report) -> Table:
    """Return what the licences ask of whoever ships the student."""
    rows = [[Cell(condition)] for condition in report.lineage.release_conditions]
    return Table("Before a release", text_columns("what the licences ask"), rows)


def libraries_table(report: Report) -> Table:
    """Return the versions of what the run was made with."""
    rows = [[Cell(name), Cell(version)] for name, version in report.lineage.libraries.items()]
    return Table("Libraries", text_columns("library", "version"), rows)


def _seconds(stage: dict[str, Any]) -> str:
    seconds = stage.get("seconds", {}).get("total")
    return UNKNOWN if seconds is None else duration(seconds)
