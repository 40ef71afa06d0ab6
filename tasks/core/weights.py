"""Where a model's weights are, and whether they are safe to load."""

import json
import re
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact, open_folder, read_record
from tasks.core.errors import ModelError

WEIGHTS = "weights"
"""Folder of safetensors weights and tokenizer inside a model's or a student's artefact."""

REFERENCE = "reference"
"""Summary field of a model that is used where it lies: a hub id or a local folder; no weights are copied."""

REVISION = "revision"

ENDPOINT = "endpoint"
"""Summary field of a teacher that has no weights here: the settings of the endpoint that runs it."""

_EXECUTABLE = {
    *(".bin", ".ckpt", ".h5", ".joblib", ".keras", ".msgpack", ".pickle", ".pkl", ".pt", ".pt2", ".pth"),
    *(".dll", ".dylib", ".py", ".pyc", ".pyd", ".so"),
}
"""Weights in formats that may hold code, and code."""

_DOWNLOADED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_COMMIT = re.compile(r"[0-9a-f]{40}")


def locate_weights(model: Artifact) -> Path:
    """Return the local folder of a model's weights, fetching them from the hub or the store when needed.

    Wherever they come from, they have passed ``refuse_code`` when this returns.

    Args:
        model: A ``model`` or ``student`` artefact.

    Raises:
        ModelError: If the weights are not there, or bring code along.
    """
    summary = read_record(model).summary
    if ENDPOINT in summary:
        raise ModelError(f"{summary[ENDPOINT]['model']} runs behind an endpoint and has no weights here; give a model instead")
    reference = summary.get(REFERENCE)
    folder = open_folder(model, WEIGHTS) if reference is None else Path(reference)
    if not folder.is_dir():
        revision = summary.get(REVISION)
        if not isinstance(revision, str) or not _COMMIT.fullmatch(revision):
            raise ModelError(
                f"{reference} is no folder on this machine, and {revision!r} is no commit of the hub's; "
                "give the folder on every worker, or a hub model with its 40-digit commit hash"
            )
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(str(reference), revision=revision, allow_patterns=_DOWNLOADED))
    refuse_code(folder)
    return folder


def refuse_code(folder: Path) -> None:
    """Refuse a model that could run code when it is loaded, or have files loaded that are not its own.

    Raises:
        ModelError: If there is no such folder; if it has weights in another format than safetensors, code, or links that lead out
            of it; if a configuration names code, the index of the weights names files elsewhere, or it is an adapter, which
            Transformers would load another model for.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder; give a folder of safetensors weights with their tokenizer, or a .gguf file")
    allowed = _roots(folder)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _EXECUTABLE:
            raise ModelError(f"{path} could run code when loaded; convert the model to safetensors without custom code")
        if path.is_symlink() and not any(path.resolve().is_relative_to(root) for root in allowed):
            raise ModelError(f"{path} is a link that leads out of the model's folder; copy the file there instead")
        if path.name.endswith("config.json"):
            _refuse_custom_code(path)
        elif path.name.endswith(".index.json"):
            _refuse_foreign_files(path)


def _roots(folder: Path) -> list[Path]:
    """Return where a model's links may lead: its folder, and in the hub's cache also the folder of the same model's files."""
    real = folder.resolve()
    return [real, real.parent.parent / "blobs"] if real.parent.name == "snapshots" else [real]


def _refuse_custom_code(file: Path) -> None:
    if file.name == "adapter_config.json":
        raise ModelError(f"{file} is an adapter's, and has another model loaded; merge the adapter into its model and give that")
    values = _read_object(file)
    if _names(values, "auto_map") and not _is_built_in(values.get("model_type")):
        raise ModelError(f"{file} names custom code (auto_map), which is never run; use a model that Transformers knows")


def _refuse_foreign_files(file: Path) -> None:
    shards = _read_object(file).get("weight_map")
    for name in set(shards.values()) if isinstance(shards, dict) else set():
        if not isinstance(name, str) or Path(name).name != name or Path(name).suffix != ".safetensors":
            raise ModelError(f"{file} names {name!r} as weights, wanted a safetensors file beside it; save the model anew")


def _read_object(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read ({type(error).__name__}); fetch the model again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} is no JSON object; fetch the model again")
    return values


def _names(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(_names(item, key) for item in value.values())
    return isinstance(value, list) and any(_names(item, key) for item in value)


def _is_built_in(model_type: Any) -> bool:
    """Return whether Transformers has this kind of model itself; then the code that its files name is not needed."""
    from transformers import CONFIG_MAPPING

    return isinstance(model_type, str) and model_type in CONFIG_MAPPING


def weight_bytes(folder: Path) -> int:
    """Return the size of a model's safetensors files in bytes."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def loaded_weight_bytes(folder: Path, value_bytes: int) -> int:
    """Return what a model's weights take once they are loaded, in bytes.

    Args:
        folder: Where its safetensors files are.
        value_bytes: Size of a number in the format that is computed in. Weights are converted to it on loading; those that are
            quantised, to 8 bits or less, stay as they are.
    """
    total = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as opened:  # eight bytes that tell the length of a JSON object, which tells where each tensor lies
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                start, end = tensor["data_offsets"]
                stored = _FLOAT_BYTES.get(tensor["dtype"])
                total += end - start if stored is None else (end - start) // stored * value_bytes
    return total
