"""A curation in flow runs of a deployment: what they are given, and that they find what one process finds."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prefect.runtime import flow_run

from flows import curation
from flows.curation import curate_partition
from tasks.core.artifact import Artifact
from tasks.core.errors import SettingsError
from tasks.curating.answers import Answers
from tasks.curating.row_findings import RowFindings, find_here
from tasks.curating.row_pass import take_in_rows
from tasks.curating.runtime import CurationRuntime
from tasks.curating.steps import filter_context, make_steps
from tasks.curating.verdicts import Verdicts
from tasks.dataset import DatasetSettings
from tasks.filters import ROW_FILTERS
from tasks.filters.near_duplicates.candidates import pairs_here
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings
from tests.models import tiny_model

RUN = "0f9d1c1e-3c5b-4f5e-9f5b-3a1c2d3e4f50"
RUNTIME = CurationRuntime(partitions=3, partition_deployment="curation-partition/cpu")
ROWS = [
    {"prompt": f"Is {number} even? Write to a{number}@still.org", "label": ("yes", "no", "perhaps")[number % 3]}
    for number in range(20)
]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The parameters of the flow runs that were started, by name; they run here and now."""
    runs: dict[str, dict[str, Any]] = {}

    def run_here(deployment: str, parameters: dict[str, dict[str, Any]], store: str, recovery: Any) -> None:
        assert deployment == "curation-partition/cpu"
        runs.update(parameters)
        for values in parameters.values():
            curate_partition.fn(**curate_partition.validate_parameters(values))

    monkeypatch.setattr(curation, "run_deployed", run_here)
    monkeypatch.setattr(flow_run, "get_id", lambda: RUN)
    return runs


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    """Prompts whose references are the answers, and the student."""
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    settings = PromptsSettings(train=(str(tmp_path / "rows.jsonl"),), task="CLASSIFICATION", reference_field="label")
    student = ModelSettings(source=str(tiny_model(tmp_path / "model")))
    return {
        "prompts": prepare_prompts.fn(settings=settings, store=str(tmp_path)),
        "student": prepare_model.fn(settings=student, store=str(tmp_path)),
    }


def test_each_part_of_the_rows_is_a_run_and_together_they_find_what_one_process_finds(
    started: dict[str, dict[str, Any]], inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    settings = DatasetSettings.model_validate({"filters": {"length": {"min_answer_tokens": 8}}, "runtime": RUNTIME})
    context, answers = filter_context(inputs["prompts"], inputs["student"], None), Answers(inputs["prompts"], None)
    steps = make_steps(ROW_FILTERS, settings.filters, context, are_references=True)

    def taken_in(findings: Iterable[RowFindings], scratch: str) -> dict[str, Any]:
        verdicts = Verdicts(tmp_path / scratch)
        figures = take_in_rows(findings, steps, verdicts)
        scores = {name: verdicts.scores.whole(name).tolist() for name in verdicts.scores.names}
        reasons = [(name, reason, numbers.tolist()) for name, reason, numbers in verdicts.reasons()]
        remembered = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(figures).items()}
        return {"scores": scores, "reasons": reasons, "kept": verdicts.kept.tolist(), **remembered}

    here = taken_in(find_here(answers, steps, context), "here")
    elsewhere = curation._find_in_rows(settings, str(tmp_path), inputs)

    assert taken_in(elsewhere(answers, steps, context), "elsewhere") == here
    assert {reason for _, reason, _ in here["reasons"]} >= {"pii", "answer_too_short"}
    assert list(started) == [f"rows, partition {number} of 3" for number in (1, 2, 3)]
    assert {values["folder"] for values in started.values()} == {f"partitions/{RUN}"}
    started.clear()
    assert taken_in(elsewhere(answers, steps, context), "again") == here
    assert not started  # a parent that is started again finds what they left


def test_each_part_of_the_keys_is_a_run_and_together_they_find_all_pairs(
    started: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    bands, keys = random.integers(0, 40, (14, 60)).astype(np.uint64), random.permutation(60).astype(np.uint64)
    found = curation._find_pairs(RUNTIME, str(tmp_path))(bands, keys)

    assert {frozenset(pair) for pairs in found for pair in pairs.tolist()} == {
        frozenset(pair) for pairs in pairs_here(bands, keys) for pair in pairs.tolist()
    }
    assert list(started) == [f"pairs, partition {number} of 3" for number in (1, 2, 3)]
    assert {values["folder"] for values in started.values()} == {f"partitions/{RUN}"}


def test_without_a_deployment_nothing_leaves_the_process(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    assert curation._find_pairs(CurationRuntime(), str(tmp_path)) is pairs_here
    assert curation._find_in_rows(DatasetSettings(), str(tmp_path), inputs) is find_here


def test_a_part_of_the_rows_comes_from_the_store_of_the_run(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    rows = {"filters": {}, "spans": 1, **{name: artifact.model_dump() for name, artifact in inputs.items()}}
    values = {"store": str(tmp_path / "elsewhere"), "folder": f"partitions/{RUN}", "partition": 0, "rows": rows}

    with pytest.raises(SettingsError, match="the input prompts lies in the store"):
        curate_partition.fn(**curate_partition.validate_parameters(values))
