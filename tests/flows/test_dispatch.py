"""Stages in the run's own process, when the run is started again: each gets its own artefact, whatever ran before."""

from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from flows.curation import load_prompts
from flows.dispatch import Stages
from tasks.core.artifact import Artifact, find_artifact, read_record
from tasks.core.errors import StageFailedError
from tasks.core.recovery import RecoverySettings
from tasks.prompts import PromptsSettings, prepare_prompts

pytestmark = pytest.mark.slow


def prompts_of(folder: Path, name: str) -> PromptsSettings:
    for split in ("train", "test"):
        (folder / f"{name}-{split}.jsonl").write_text(f'{{"prompt": "{name} {split}", "answer": "x"}}\n')
    values: dict[str, Any] = {"train": [str(folder / f"{name}-train.jsonl")], "test": [str(folder / f"{name}-test.jsonl")]}
    return PromptsSettings.model_validate({**values, "validation_fraction": 0, "reference_field": "answer"})


def test_a_run_that_is_started_again_takes_no_stage_for_an_earlier_one_of_the_same_flow(
    tmp_path: Path, prefect_server: None
) -> None:
    stages, attempts = Stages(str(tmp_path / "store"), RecoverySettings()), list[int]()
    first, second = prompts_of(tmp_path, "first"), prompts_of(tmp_path, "second")

    @flow(retries=1)
    def two_stages() -> tuple[Artifact, Artifact]:
        attempts.append(1)
        one = stages.run(load_prompts, prepare_prompts, "one", None, settings=first)
        if len(attempts) == 1:
            raise RuntimeError("the run ends between two stages of the same flow")
        return one, stages.run(load_prompts, prepare_prompts, "two", None, settings=second)

    one, two = two_stages()

    assert len(attempts) == 2
    assert one.fingerprint != two.fingerprint
    assert read_record(two).settings["train"] == [str(tmp_path / "second-train.jsonl")]


def test_a_stage_whose_artefact_went_away_is_made_anew_by_a_run_that_is_started_again(
    tmp_path: Path, prefect_server: None
) -> None:
    store = tmp_path / "store"
    stages, made = Stages(str(store), RecoverySettings()), list[Artifact]()

    @flow(retries=1)
    def one_stage() -> Artifact:
        made.append(stages.run(load_prompts, prepare_prompts, "one", None, settings=prompts_of(tmp_path, "first")))
        if len(made) == 1:
            (store / made[0].key / "record.json").unlink()
            raise RuntimeError("the run ends, and its artefact is lost")
        return made[1]

    again = one_stage()

    assert find_artifact(str(store), "prompts", again.fingerprint) == again


def test_errors_that_another_try_may_mend_are_tried_again_here_too(tmp_path: Path, prefect_server: None) -> None:
    tries = list[int]()
    settings = prompts_of(tmp_path, "first")

    @flow(name="prompts", persist_result=True, result_serializer="json")
    def fails_twice(settings: PromptsSettings, store: str) -> Artifact:
        tries.append(1)
        if len(tries) < 3:
            raise StageFailedError("the engine died")
        return prepare_prompts(settings=settings, store=store)

    @flow
    def one_stage(max_errors: int) -> Artifact:
        recovery = RecoverySettings(max_errors=max_errors, first_wait_seconds=0)
        return Stages(str(tmp_path / "store"), recovery).run(fails_twice, prepare_prompts, "one", None, settings=settings)

    with pytest.raises(StageFailedError):
        one_stage(1)
    tries.clear()
    assert one_stage(2).kind == "prompts"
    assert len(tries) == 3
