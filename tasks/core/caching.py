"""Stages as cached Prefect tasks: the fingerprint is the cache key, and ``record.json`` has the last word.

Prefect shows re-used work as Cached when its own small JSON result is there. Beneath it this module asks the store: an
artefact that is gone or damaged is a miss even if Prefect remembers it, a complete one is never made again even if Prefect
forgot it, and a store that does not answer stops the run (Prefect's own look-up would take it for a miss).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec

from prefect import Task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext

from tasks.core.artifact import Artifact, Draft, find_artifact
from tasks.core.errors import SettingsError
from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.results import result_storage
from tasks.core.secrets import without_secrets
from tasks.core.section import Section
from tasks.core.storage import open_store

P = ParamSpec("P")
StageTask = Task[P, Artifact]


@dataclass(frozen=True)
class Stage:
    """One kind of artefact and the version of the code that makes it.

    Raise ``version`` when the code changes what it would write for the same settings and inputs.
    """

    kind: str
    version: int

    def fingerprint(self, settings: Section, inputs: dict[str, Artifact]) -> str:
        """Return the identity of the artefact that these settings and inputs ask for."""
        return fingerprint(
            {
                "kind": self.kind,
                "version": self.version,
                "settings": settings.identity(),
                "inputs": {name: artifact.fingerprint for name, artifact in inputs.items()},
            }
        )

    def task(self, function: Callable[P, Artifact]) -> StageTask[P]:
        """Make a stage function a Prefect task, cached by fingerprint, with its JSON result persisted.

        Args:
            function: Takes ``settings`` and ``store`` and any number of ``Artifact`` inputs, returns an ``Artifact``.
        """

        @wraps(function)
        def find_or_make(*args: P.args, **kwargs: P.kwargs) -> Artifact:
            try:
                return self.find(self.bind(function, *args, **kwargs)) or function(*args, **kwargs)
            except Exception as error:  # its message goes into states, logs and results
                if (shown := without_secrets(error)) is error:
                    raise
                raise shown from None

        return Task(
            find_or_make,
            name=self.kind,
            cache_policy=FingerprintPolicy(stage=self),
            persist_result=True,
            result_serializer="json",
        )

    @staticmethod
    def bind(function: Callable[P, Artifact], *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return a stage function's arguments by name, defaults included."""
        bound = signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def find(self, arguments: dict[str, Any]) -> Artifact | None:
        """Return the complete artefact that a stage function would make from these arguments, or None.

        Raises:
            StoreUnreachableError: If the store does not answer.
        """
        return find_artifact(arguments["store"], self.kind, self._wanted(arguments))

    def cache_key(self, arguments: dict[str, Any]) -> str:
        """Return the Prefect cache key of a stage function's work."""
        return f"{self.kind}-{self._wanted(arguments)[:SHORT]}"

    @contextmanager
    def draft(self, store: str, settings: Section, **inputs: Artifact) -> Iterator[Draft]:
        """Open the artefact for writing; what is not published when the block ends was never there."""
        wanted = self.fingerprint(settings, inputs)
        draft = Draft(store, self.kind, wanted, self.version, settings.model_dump(mode="json"), inputs)
        try:
            yield draft
        finally:
            draft.discard()

    def _wanted(self, arguments: dict[str, Any]) -> str:
        return self.fingerprint(arguments["settings"], _inputs(arguments))


@dataclass
class FingerprintPolicy(CachePolicy):
    """Prefect cache policy: the key of a stage's work is its fingerprint."""

    stage: Stage | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """Return ``kind-fingerprint`` for the stage's bound arguments; store, flow and code play no part in it."""
        del task_ctx, flow_parameters, kwargs
        return self.stage.cache_key(inputs) if self.stage else None


def find_finished(stage_task: StageTask[P], *args: P.args, **kwargs: P.kwargs) -> Artifact | None:
    """Return the complete artefact that a stage would make from these arguments, or None.

    Raises:
        SettingsError: If an input lies in another store than the run's.
        StoreUnreachableError: If the store does not answer.
    """
    policy = stage_task.cache_policy
    if not isinstance(policy, FingerprintPolicy) or policy.stage is None:
        raise TypeError(f"{stage_task.name} is not a stage's task")
    arguments = policy.stage.bind(stage_task.fn, *args, **kwargs)
    require_one_store(arguments)
    return policy.stage.find(arguments)


def require_one_store(arguments: dict[str, Any]) -> None:
    """Refuse inputs that lie elsewhere than in the run's store.

    A handle is a flow's parameter: whoever gives it must not take the worker to another place than the run says.

    Args:
        arguments: A stage's arguments by name; ``store`` is one of them.

    Raises:
        SettingsError: If an input lies in another store.
    """
    url = open_store(arguments["store"]).url
    for name, artifact in _inputs(arguments).items():
        if artifact.store != url:
            raise SettingsError(f"the input {name} lies in the store {artifact.store}, wanted one in {url}; copy it there first")


def _inputs(arguments: dict[str, Any]) -> dict[str, Artifact]:
    """Return the artefacts among a stage's arguments, those of a dict by its name and their key."""
    inputs: dict[str, Artifact] = {}
    for name, value in arguments.items():
        if isinstance(value, Artifact):
            inputs[name] = value
        elif isinstance(value, dict):
            inputs |= {f"{name}_{key}": artifact for key, artifact in value.items() if isinstance(artifact, Artifact)}
    return inputs


def run_cached(stage_task: StageTask[P], *args: P.args, **kwargs: P.kwargs) -> Artifact:
    """Run a stage's task, or take the artefact that is already there.

    Raises:
        SettingsError: If an input lies in another store.
        StoreUnreachableError: If the store does not answer; the work is not started.
    """
    finished = find_finished(stage_task, *args, **kwargs)
    storage = result_storage(str(kwargs["store"]))
    runnable = stage_task.with_options(refresh_cache=finished is None, result_storage=storage)
    artifact = runnable(*args, **kwargs)
    return finished or artifact
