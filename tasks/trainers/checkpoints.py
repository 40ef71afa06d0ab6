"""Checkpoints that can be trusted: each has a manifest, written last, with the size and hash of every file in it.

The Trainer writes its files in place and takes the newest folder for whole: a torn one poisons every retry, and one without
optimizer state silently trains something else. So only checkpoints whose manifest holds are resumed from.
"""

import json
import logging
import os
import uuid
from pathlib import Path

from tasks.core.fingerprint import file_digest

MANIFEST = "manifest.json"
_logger = logging.getLogger("potstill")


def seal_checkpoint(checkpoint: Path) -> None:
    """Write a finished checkpoint's manifest."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {path.relative_to(checkpoint).as_posix(): [path.stat().st_size, file_digest(path)] for path in files}
    staged = checkpoint / f".{MANIFEST}"
    staged.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    os.replace(staged, checkpoint / MANIFEST)


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a training, or None.

    Torn ones are set aside under a name that the Trainer does not look for, so that it does not count them either.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        if _is_whole(checkpoint):
            return checkpoint
        _logger.warning("%s is torn and was set aside; the one before it is used", checkpoint.name)
        os.replace(checkpoint, checkpoint.with_name(f"torn-{checkpoint.name}-{uuid.uuid4().hex[:8]}"))
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        return all(
            (checkpoint / name).stat().st_size == size and file_digest(checkpoint / name) == digest
            for name, (size, digest) in manifest.items()
        )
    except (OSError, ValueError):
        return False
