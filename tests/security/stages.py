"""A toy stage for tests that look at what a run leaves behind."""

from collections.abc import Callable
from typing import Any

from prefect import State, Task, flow
from prefect.client.schemas.objects import TaskRun

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage, run_cached
from tasks.core.results import result_storage
from tasks.core.section import Section


class BreadSettings(Section):
    """A toy stage's settings."""

    flour: str = "rye"


class Bakery:
    """A toy stage as a flow of its own, and what happened when it ran."""

    def __init__(self, store: str, work: Callable[[], None] = lambda: None) -> None:
        """Make the flow.

        Args:
            store: URL of the store.
            work: What the stage does beside its artefact.
        """
        self.baked = 0
        self.states: list[str] = []
        self._store, self._work = store, work
        self._stage = Stage("bread", version=1)

    def run(self) -> State[Artifact]:
        """Run the stage inside a flow whose results are kept as the product keeps them; return the flow run's state."""
        stage_task = self._stage.task(self._bake).with_options(on_completion=[self._note])

        @flow(name="bakery", persist_result=True, result_serializer="json", result_storage=result_storage(self._store))
        def bake_bread(settings: BreadSettings, store: str) -> Artifact:
            return run_cached(stage_task, settings=settings, store=store)

        state: Any = bake_bread(BreadSettings(), self._store, return_state=True)
        return state

    def _bake(self, settings: BreadSettings, store: str) -> Artifact:
        self.baked += 1
        self._work()
        with self._stage.draft(store, settings) as draft:
            (draft.path / "loaf").write_text(settings.flour)
            return draft.publish()

    def _note(self, task: Task[..., Artifact], run: TaskRun, state: State[Artifact]) -> None:
        self.states.append(state.name or "")
