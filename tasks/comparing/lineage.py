"""Everything that led to the report: artefacts, models with revisions, licences, settings, libraries, interruptions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.core.artifact import Artifact, Record, read_record
from tasks.core.attempts import INTERRUPTIONS, Interruptions, add_up
from tasks.core.weights import REVISION
from tasks.renderers.schema import InterruptionsReport, Lineage, ModelName

_INTERRUPTIBLE = {"generations": "teacher", "student": "dataset"}
"""Kinds whose makers record their attempts, and an input that tells these from others of the kind: mixtures have no teacher."""


class Ancestor(NamedTuple):
    """An artefact that led to the report, directly or through others."""

    artifact: Artifact
    record: Record


def find_ancestors(artifacts: Mapping[str, Artifact]) -> dict[str, Ancestor]:
    """Return the report's inputs and all that they were made from, each once; those of earlier runs may be gone and are left out.

    What the report has no name for, as each teacher of a mixture, is called by its role and the start of its fingerprint.
    """
    found: dict[str, Ancestor] = {}
    waiting, seen = list(artifacts.items()), set[str]()
    while waiting:
        name, artifact = waiting.pop(0)
        if artifact.fingerprint in seen:
            continue
        seen.add(artifact.fingerprint)
        try:
            record = read_record(artifact)
        except (FileNotFoundError, ValueError):
            continue
        found[name] = Ancestor(artifact, record)
        waiting += [(f"{role} {each.fingerprint[:8]}", each) for role, each in record.inputs.items()]
    return found


def gather_interruptions(ancestors: Mapping[str, Ancestor]) -> InterruptionsReport:
    """Return what was lost on the way in all stages together, and in each that answers or trains."""
    found: dict[str, Interruptions | None] = {}
    for name, (artifact, record) in ancestors.items():
        if INTERRUPTIONS in record.summary:
            found[name] = Interruptions.model_validate(record.summary[INTERRUPTIONS])
        elif _INTERRUPTIBLE.get(artifact.kind) in record.inputs:
            found[name] = None
    recorded = [figures for figures in found.values() if figures is not None]
    return InterruptionsReport(in_all=add_up(recorded) if recorded else None, stages=found)


def trace(artifacts: Mapping[str, Artifact], ancestors: Mapping[str, Ancestor], names: Mapping[ModelName, str]) -> Lineage:
    """Return everything that is needed to trust and repeat the report.

    Args:
        artifacts: The report's inputs.
        ancestors: They and all that they were made from.
        names: What the models are called.
    """
    records = {name: ancestors[name].record for name in artifacts if name in ancestors}
    return Lineage(
        artifacts=dict(artifacts),
        models={model: _with_revision(name, records[f"{model}_evaluation"], ancestors) for model, name in names.items()},
        licences=_licences(records["preflight"].summary),
        release_conditions=records["preflight"].summary.get("conditions", []),
        settings={name: record.settings for name, record in records.items()},
        libraries=_libraries(records.values()),
    )


def _with_revision(name: str, evaluation: Record, ancestors: Mapping[str, Ancestor]) -> str:
    """Return a model's name with the revision it was read at; of what has none, as a student, with its fingerprint."""
    model = evaluation.inputs.get("model")
    if model is None:
        return name
    record = next((record for artifact, record in ancestors.values() if artifact.fingerprint == model.fingerprint), None)
    revision = None if record is None else record.summary.get(REVISION)
    return f"{name}@{revision or model.fingerprint[:16]}"


def _licences(preflight: Mapping[str, Any]) -> dict[str, str]:
    terms = [each for found in preflight.get("terms", {}).values() for each in found]
    return {each["model"]: f"{each['name']}, {each['url']}" if each["url"] else each["name"] for each in terms}


def _libraries(records: Any) -> dict[str, str]:
    """Return the versions that stages ran with; all of them where they differ."""
    versions: dict[str, list[str]] = {}
    for record in records:
        for library, version in record.libraries.items():
            versions.setdefault(library, []).append(version)
    return {library: ", ".join(dict.fromkeys(found)) for library, found in sorted(versions.items())}
