"""The model stage: a teacher or an untrained student made ready: found, or converted to safetensors."""

import importlib.util
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import SettingsError
from tasks.core.fingerprint import file_digest, folder_digest
from tasks.core.progress import stage_logger
from tasks.core.section import Section
from tasks.core.weights import ENDPOINT, REFERENCE, REVISION, WEIGHTS, refuse_code, weight_bytes
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.endpoint.url import check_url

STAGE = Stage("model", version=1)
PACKAGE_PREFIX = "package:"
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_REVISION = re.compile(r"[0-9a-f]{40}")


class ModelSettings(Section):
    """Which model, and how much of it."""

    source: str = Field(min_length=1)
    """Hub id, local folder of safetensors, .gguf file, or package:name/file.gguf for a file inside an installed package."""

    revision: str | None = None
    """Commit hash of a hub model, 40 digits; needed for hub models, so that the weights cannot change."""

    def identity(self) -> dict[str, Any]:
        """Return the settings with the source replaced by the identity of its content."""
        return {"content": self._content()}

    def path(self) -> Path | None:
        """Return the local file or folder of the source, or None for a hub model.

        Raises:
            SettingsError: If there is no such file, package or model id.
        """
        if self.source.startswith(PACKAGE_PREFIX):
            return _package_file(self.source.removeprefix(PACKAGE_PREFIX))
        path = Path(self.source).expanduser().resolve()
        if path.exists():
            return path
        if _HUB_ID.fullmatch(self.source) and not self.source.endswith(".gguf"):
            return None
        raise SettingsError(
            f"the model {self.source!r} is no local path (looked for {path}) and no hub id like organisation/name"
        )

    def _content(self) -> str:
        path = self.path()
        if path is not None:
            return folder_digest(path) if path.is_dir() else file_digest(path)
        if not self.revision or not _REVISION.fullmatch(self.revision):
            raise SettingsError(
                f"the hub model {self.source} has the revision {self.revision!r}; give the 40-digit commit hash from its page, "
                "so that the weights cannot change under a finished run"
            )
        return f"hub:{self.source}@{self.revision}"


@STAGE.task
def prepare_model(settings: ModelSettings, store: str) -> Artifact:
    """Make a model ready to be run and trained.

    Args:
        settings: Which model.
        store: URL of the artefact store.

    Returns:
        Handle of a ``model`` artefact: safetensors weights and tokenizer if they had to be converted, else a reference to
        where they lie.

    Raises:
        ModelError: If the weights cannot be loaded or would run code.
    """
    with STAGE.draft(store, settings) as draft:
        path = settings.path()
        draft.summary = {"source": settings.source}
        if path is not None and path.suffix == ".gguf":
            prepare_libraries()
            from tasks.initialisers.gguf import convert_gguf

            convert_gguf(path, draft.path / WEIGHTS)
            draft.counts = {"weight_bytes": weight_bytes(draft.path / WEIGHTS)}
        else:
            if path is not None:
                refuse_code(path)
            draft.summary |= {REFERENCE: str(path or settings.source), REVISION: settings.revision}
        stage_logger().info("model: %s is ready", settings.source)
        return draft.publish()


@STAGE.task
def prepare_endpoint(settings: EndpointSettings, store: str) -> Artifact:
    """Make an endpoint a teacher like any other: an artefact that says where it is and what it is called.

    Args:
        settings: Which endpoint and model.
        store: URL of the artefact store.

    Returns:
        Handle of a ``model`` artefact without weights.

    Raises:
        SettingsError: If the address is not one that may be asked.
    """
    check_url(settings.url)
    with STAGE.draft(store, settings) as draft:
        draft.summary = {"source": settings.model, ENDPOINT: settings.model_dump(mode="json")}
        return draft.publish()


def _package_file(name: str) -> Path:
    package, _, file = name.partition("/")
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise SettingsError(f"the Python package {package!r} is not installed; the demo's models come with the extra 'demo'")
    path = Path(folders[0]) / file
    if not path.is_file() or ".." in Path(file).parts:
        raise SettingsError(f"the Python package {package!r} has no file {file!r}")
    return path
