"""What a checkpoint's manifest says, and whether the files beside it are what it says: paths in it never lead elsewhere."""

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tasks.core.errors import DataError, UnsafePathError
from tasks.core.fingerprint import SHORT, file_digest

MANIFEST = "manifest.json"


class CheckpointFile(BaseModel):
    """What a file of a checkpoint must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class CheckpointManifest(BaseModel):
    """What a checkpoint consists of, and which training wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=0)
    """Optimiser steps that were done."""
    world_size: int = Field(ge=1)
    """Processes that trained together; another number sees the rows in another order."""
    identity: str
    """Fingerprint of what was trained, and how."""
    files: dict[str, CheckpointFile]
    """By path, relative to the checkpoint."""

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, files: dict[str, CheckpointFile]) -> dict[str, CheckpointFile]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name or name in {".", MANIFEST} or "\0" in name:
                raise UnsafePathError(f"the path {name!r} is not one of a file inside the checkpoint")
        return files

    @classmethod
    def parse(cls, data: bytes, step: int) -> "CheckpointManifest":
        """Return the manifest of the checkpoint of a step.

        Raises:
            DataError: If it is not one, or that of another step.
        """
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            raise DataError(f"its manifest is not one: {error.errors()[0]['msg']}") from None
        if manifest.step != step:
            raise DataError(f"its manifest is that of step {manifest.step}, wanted {step}")
        return manifest

    def foreign_to(self, identity: str) -> str | None:
        """Return why a training may not go on from the checkpoint, if another one wrote it."""
        if self.identity == identity:
            return None
        return f"it is of the training {self.identity[:SHORT]!r}, wanted {identity[:SHORT]!r}"

    def to_json(self) -> bytes:
        """Return it as it is stored."""
        return self.model_dump_json(indent=2).encode()


def file_inside(checkpoint: Path, name: str) -> Path:
    """Return the path of a checkpoint's file.

    Raises:
        UnsafePathError: If the checkpoint, the file or a folder between them is a symbolic link.
    """
    path = checkpoint / name
    if path.resolve() != checkpoint.parent.resolve() / checkpoint.name / name:
        raise UnsafePathError(f"{name} lies behind a symbolic link, wanted a file inside the checkpoint")
    return path


def fault_of(checkpoint: Path, manifest: CheckpointManifest) -> str | None:
    """Return which file of a checkpoint is not what its manifest says, and how; None if all are."""
    return next((fault for name, file in manifest.files.items() if (fault := file_fault(checkpoint, name, file))), None)


def file_fault(checkpoint: Path, name: str, wanted: CheckpointFile) -> str | None:
    """Return how a file of a checkpoint differs from what it must be; None if it does not."""
    try:
        path = file_inside(checkpoint, name)
        size = path.stat().st_size
        digest = file_digest(path) if size == wanted.size_bytes else ""
    except FileNotFoundError:
        return f"{name} is gone"
    except (OSError, UnsafePathError) as error:
        return f"{name} cannot be read ({error})"
    if size != wanted.size_bytes:
        return f"{name} has {size} bytes, wanted {wanted.size_bytes}"
    if digest != wanted.sha256:
        return f"{name} has the hash {digest[:SHORT]}, wanted {wanted.sha256[:SHORT]}"
    return None
