"""A stage is made once: the same question is a Cached task run, and the artefact, not Prefect's memory, has the last word."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import State, Task, flow
from prefect.client.schemas.objects import TaskRun

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage, StageTask, find_finished, run_cached
from tasks.core.errors import StoreUnreachableError
from tasks.core.section import Section
from tasks.core.storage import open_store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


class Oven(Section):
    """How the work is done."""

    plates: int = 1


class BreadSettings(Section):
    """A toy stage's settings."""

    flour: str = "rye"
    runtime: Oven = Oven()


class Bakery:
    """A toy stage that writes one file, and what happened when it ran."""

    def __init__(self, store: str, version: int = 1) -> None:
        self.store = store
        self.baked: list[str] = []
        self.states: list[str] = []
        self.task = self._task(version)

    def run(self, settings: BreadSettings | None = None) -> Artifact:
        """Run the stage inside a flow, as the product does."""
        stage_task = self.task.with_options(on_completion=[self._note])

        @flow(name="bakery")
        def bake_bread(settings: BreadSettings, store: str) -> Artifact:
            return run_cached(stage_task, settings=settings, store=store)

        return bake_bread(settings or BreadSettings(), self.store)

    def _note(self, task: Task[..., Artifact], run: TaskRun, state: State[Artifact]) -> None:
        self.states.append(state.name or "")

    def _task(self, version: int) -> StageTask[...]:
        stage = Stage("bread", version=version)

        def bake(settings: BreadSettings, store: str) -> Artifact:
            self.baked.append(settings.flour)
            with stage.draft(store, settings) as draft:
                (draft.path / "loaf").write_text(f"{settings.flour} {version}")
                draft.counts = {"loaves": 1}
                return draft.publish()

        return stage.task(bake)


def test_the_same_work_is_cached_and_not_done_again(store_url: str) -> None:
    bakery = Bakery(store_url)
    first, second = bakery.run(), bakery.run()
    assert first == second
    assert bakery.states == ["Completed", "Cached"]
    assert bakery.baked == ["rye"]
    assert open_file(second, "loaf").read_text() == "rye 1"


def test_another_process_of_the_same_version_finds_the_work(store_url: str) -> None:
    made = Bakery(store_url).run()
    later = Bakery(store_url)
    assert later.run() == made
    assert (later.states, later.baked) == (["Cached"], [])


def test_how_the_work_is_done_does_not_matter(tmp_path: Path) -> None:
    bakery = Bakery(str(tmp_path))
    assert bakery.run() == bakery.run(BreadSettings(runtime=Oven(plates=4)))
    assert bakery.states == ["Completed", "Cached"]
    assert bakery.baked == ["rye"]


def test_other_settings_are_other_work(tmp_path: Path) -> None:
    bakery = Bakery(str(tmp_path))
    assert bakery.run().fingerprint != bakery.run(BreadSettings(flour="wheat")).fingerprint
    assert bakery.states == ["Completed", "Completed"]
    assert bakery.baked == ["rye", "wheat"]


def test_another_version_of_the_code_is_other_work(tmp_path: Path) -> None:
    old, new = Bakery(str(tmp_path)), Bakery(str(tmp_path), version=2)
    assert old.run().fingerprint != new.run().fingerprint
    assert new.states == ["Completed"]
    assert new.baked == ["rye"]


def delete_the_file(artifact: Artifact) -> None:
    open_store(artifact.store).delete(f"{artifact.key}/{read_record(artifact).files[0].path}")


def change_the_file(artifact: Artifact) -> None:
    open_store(artifact.store).write(f"{artifact.key}/{read_record(artifact).files[0].path}", b"mouldy")


def delete_the_record(artifact: Artifact) -> None:
    open_store(artifact.store).delete(f"{artifact.key}/record.json")


def break_the_record(artifact: Artifact) -> None:
    open_store(artifact.store).write(f"{artifact.key}/record.json", b"{")


@pytest.mark.parametrize("damage", [delete_the_file, change_the_file, delete_the_record, break_the_record])
def test_an_artefact_that_is_gone_or_damaged_is_made_anew(tmp_path: Path, damage: Callable[[Artifact], None]) -> None:
    bakery = Bakery(str(tmp_path))
    damage(bakery.run())
    again = bakery.run()
    assert bakery.states == ["Completed", "Completed"]
    assert bakery.baked == ["rye", "rye"]
    assert open_file(again, "loaf").read_text() == "rye 1"
    assert bakery.run() == again
    assert bakery.states[-1] == "Cached"


def test_what_prefect_forgot_is_not_made_again(store_url: str) -> None:
    bakery, store = Bakery(store_url), open_store(store_url)
    made = bakery.run()
    forgotten = store.keys("prefect")
    for key in forgotten:
        store.delete(key)
    assert forgotten
    assert bakery.run() == made
    assert bakery.baked == ["rye"]


@pytest.mark.parametrize("garbage", [b"", b"\x80\x04garbage", b"{}"])
def test_a_prefect_result_that_is_none_costs_nothing(tmp_path: Path, garbage: bytes) -> None:
    bakery, store = Bakery(str(tmp_path)), open_store(str(tmp_path))
    made = bakery.run()
    for key in store.keys("prefect"):
        store.write(key, garbage)
    assert bakery.run() == made
    assert bakery.baked == ["rye"]


def test_a_store_that_does_not_answer_stops_the_run_before_the_work(unreachable_store_url: str) -> None:
    bakery = Bakery(unreachable_store_url)
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        bakery.run()
    assert bakery.baked == []
    assert bakery.states == []


def test_prefect_keeps_json_beside_the_artefacts_and_no_pickle(store_url: str) -> None:
    made, store = Bakery(store_url).run(), open_store(store_url)
    results = [json.loads(store.read(key)) for key in store.keys("prefect")]
    assert [result["metadata"]["serializer"]["type"] for result in results] == ["json"]
    assert made.fingerprint in json.dumps(results)


def test_finished_work_is_found_without_running_anything(tmp_path: Path) -> None:
    bakery = Bakery(str(tmp_path))
    settings = BreadSettings()
    assert find_finished(bakery.task, settings=settings, store=bakery.store) is None
    made = bakery.run()
    assert find_finished(bakery.task, settings=settings, store=bakery.store) == made
    assert bakery.baked == ["rye"]
