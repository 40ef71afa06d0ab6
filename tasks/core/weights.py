"""Where a model's weights are, and whether they are safe to load."""

import json
from pathlib import Path

from tasks.core.artifact import Artifact, open_folder, read_record
from tasks.core.errors import ModelError

WEIGHTS = "weights"
"""Folder of safetensors weights and tokenizer inside a model's or a student's artefact."""

REFERENCE = "reference"
"""Summary field of a model that is used where it lies: a hub id or a local folder; no weights are copied."""

REVISION = "revision"

ENDPOINT = "endpoint"
"""Summary field of a teacher that has no weights here: the settings of the endpoint that runs it."""

_EXECUTABLE = {".py", ".bin", ".pt", ".pth", ".pkl"}


def locate_weights(model: Artifact) -> Path:
    """Return the local folder of a model's weights, fetching them from the hub or the store when needed.

    Args:
        model: A ``model`` or ``student`` artefact.

    Raises:
        ModelError: If the weights are not there, or bring code along.
    """
    summary = read_record(model).summary
    if ENDPOINT in summary:
        raise ModelError(f"{summary[ENDPOINT]['model']} runs behind an endpoint and has no weights here; give a model instead")
    reference = summary.get(REFERENCE)
    if reference is None:
        return open_folder(model, WEIGHTS)
    folder = Path(reference)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        wanted = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
        folder = Path(snapshot_download(reference, revision=summary[REVISION], allow_patterns=wanted))
    refuse_code(folder)
    return folder


def refuse_code(folder: Path) -> None:
    """Refuse a model that could run code when it is loaded.

    Raises:
        ModelError: If the folder has pickled weights or Python files, or a configuration that names some.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix in _EXECUTABLE:
            raise ModelError(f"{path} could run code when loaded; convert the model to safetensors without custom code")
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if "auto_map" in values and not _is_built_in(values.get("model_type")):
            raise ModelError(f"{file} names custom code (auto_map), which is never run; use a model that Transformers knows")


def _is_built_in(model_type: str | None) -> bool:
    """Return whether Transformers has this kind of model itself; then the code that its files name is not needed."""
    from transformers import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


def weight_bytes(folder: Path) -> int:
    """Return the size of a model's safetensors files in bytes."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
