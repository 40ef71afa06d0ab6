"""What a model may be called: by its hub id or path, by its configuration, and what its card says of its licence.

All of it is anybody's text: sizes are bounded, YAML is read but never built into values, and only plain words are taken over.
"""

import json
import re
from pathlib import Path

import yaml

_CARD_BYTES = 64 << 10
_CONFIG_BYTES = 1 << 20
_CACHED = re.compile(r"models--[^/]+--([^/]+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_QUANTISATION = re.compile(r"\.(?=(?:i?q|b?f)\d)")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def spelled_names(source: str) -> list[str]:
    """Return the names that a source may be known by, most telling first.

    Args:
        source: Hub id, path, ``package:name/file``, or an endpoint's id of a model.

    Returns:
        Its last part, and for a file or a cached commit the folder around it; in lower case, with hyphens for `:`, `_` and
        spaces, and one at the end, so that the pattern `phi-4-*` covers phi-4 too.
    """
    parts = [part for part in re.split(r"[/\\]", source.removeprefix("package:")) if part not in {"", "snapshots"}]
    if not parts:
        return []
    names = parts[-1:]
    if parts[-1].endswith((".gguf", ".safetensors")) or _COMMIT.fullmatch(parts[-1]):
        names = parts[:-3:-1]
    return [_spelled(name) for name in names]


def _spelled(name: str) -> str:
    cached = _CACHED.fullmatch(name)
    name = (cached.group(1) if cached else name).lower().removesuffix(".gguf")
    return re.sub(r"[-_:\s]+", "-", _QUANTISATION.sub("-", name)) + "-"


def name_in_config(file: Path) -> str:
    """Return the name that a model was loaded from when its ``config.json`` was saved, or nothing."""
    try:
        values = json.loads(_start(file, _CONFIG_BYTES))
    except (ValueError, RecursionError):
        return ""
    name = values.get("_name_or_path") if isinstance(values, dict) else None
    return name if isinstance(name, str) else ""


def card_licences(file: Path) -> list[str]:
    """Return `license` and `license_name` of the front matter of a model card, those that it has."""
    lines = _start(file, _CARD_BYTES).splitlines()
    if not lines or lines[0].rstrip() != "---" or "---" not in lines[1:]:
        return []
    try:
        # Nodes only: building values would follow merge keys, which a few lines can make grow without end.
        card = yaml.compose("\n".join(lines[1 : lines.index("---", 1)]), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    pairs = card.value if isinstance(card, yaml.MappingNode) else []
    found = {key.value: value.value for key, value in pairs if isinstance(value, yaml.ScalarNode)}
    return [found[key] for key in ("license", "license_name") if _TAG.fullmatch(found.get(key, ""))]


def _start(file: Path, limit: int) -> str:
    """Return a file's first bytes as text, or nothing where there is no such file."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit).decode("utf-8", errors="replace")
    except OSError:
        return ""
