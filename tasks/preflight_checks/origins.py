"""Where a model comes from, and the small files that tell about it; its weights are neither fetched nor read."""

from pathlib import Path

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.errors import ModelError
from tasks.core.weights import ENDPOINT, REFERENCE, REVISION, WEIGHTS, refuse_code
from tasks.preflight_checks.terms import Terms, find_terms

_SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "README.md"]
_SOURCE = "source"


def fetch_small_files(model: Artifact) -> Path:
    """Return a local folder with a model's configuration, tokenizer and model card; weights are there only if they were before.

    Args:
        model: A ``model`` or ``student`` artefact.

    Raises:
        ModelError: If there are none, or they name custom code.
    """
    folder = _find_small_files(model)
    if folder is None:
        summary = read_record(model).summary
        raise ModelError(f"{summary.get(_SOURCE, model.uri)} has no files on this machine; give a model that is there")
    refuse_code(folder)
    return folder


def terms_of(model: Artifact) -> list[Terms]:
    """Return the terms of all models that an artefact was made from: its own, or, of an earlier student, its start and teachers.

    Args:
        model: A ``model`` or ``student`` artefact.
    """
    found = {origin.fingerprint: origin for origin in _origins(model)}
    return list(dict.fromkeys(_terms(origin) for origin in found.values()))


def _terms(origin: Artifact) -> Terms:
    try:
        summary = read_record(origin).summary
    except FileNotFoundError:  # an earlier student whose teacher's artefact was deleted since
        return Terms(model=f"{origin.kind} {origin.fingerprint[:16]}, which is no longer in the store")
    endpoint = summary.get(ENDPOINT)
    if endpoint is not None:
        return find_terms(endpoint["model"], endpoint_url=endpoint["url"])
    return find_terms(summary[_SOURCE], _find_small_files(origin))


def _origins(artifact: Artifact) -> list[Artifact]:
    try:
        record = read_record(artifact)
    except FileNotFoundError:
        return [artifact]
    if record.kind == "model" and _SOURCE in record.summary:
        return [artifact]
    return [origin for made_from in record.inputs.values() for origin in _origins(made_from)]


def _find_small_files(model: Artifact) -> Path | None:
    record = read_record(model)
    if ENDPOINT in record.summary:
        return None
    reference = record.summary.get(REFERENCE)
    if reference is None:
        names = [entry.path.partition("/")[2] for entry in record.files]
        wanted = [name for name in names if name.startswith(f"{WEIGHTS}/") and not name.endswith(".safetensors")]
        paths = [open_file(model, name) for name in wanted]
        return next((path.parent for path in paths if path.name == "config.json"), None)
    if Path(reference).is_dir():
        return Path(reference)
    if record.summary[REVISION] is None:  # a local folder that was there when it was first used
        return None
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(reference, revision=record.summary[REVISION], allow_patterns=_SMALL_FILES))
