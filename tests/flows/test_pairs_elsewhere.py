"""The search for near duplicates in flow runs of a deployment: what they are given, and that they find what one process finds."""

from typing import Any

import numpy as np
import pytest
from prefect.runtime import flow_run

from flows import curation
from flows.curation import pair_rows
from tasks.curating.runtime import CurationRuntime
from tasks.filters.near_duplicates.candidates import pairs_here

RUN = "0f9d1c1e-3c5b-4f5e-9f5b-3a1c2d3e4f50"


def test_each_partition_is_a_run_and_together_they_find_all_pairs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, dict[str, Any]] = {}

    def run_here(deployment: str, parameters: dict[str, dict[str, Any]], store: str, recovery: Any) -> None:
        assert deployment == "curation-partition/cpu"
        started.update(parameters)
        for values in parameters.values():
            pair_rows.fn(**pair_rows.validate_parameters(values))

    monkeypatch.setattr(curation, "run_deployed", run_here)
    monkeypatch.setattr(flow_run, "get_id", lambda: RUN)
    runtime = CurationRuntime(partitions=3, partition_deployment="curation-partition/cpu")
    random = np.random.default_rng(0)
    bands, keys = random.integers(0, 40, (14, 60)).astype(np.uint64), random.permutation(60).astype(np.uint64)
    found = curation._find_pairs(runtime, str(tmp_path))(bands, keys)

    assert {frozenset(pair) for pairs in found for pair in pairs.tolist()} == {
        frozenset(pair) for pairs in pairs_here(bands, keys) for pair in pairs.tolist()
    }
    assert list(started) == ["partition 1 of 3", "partition 2 of 3", "partition 3 of 3"]
    assert {values["folder"] for values in started.values()} == {f"partitions/{RUN}"}


def test_without_a_deployment_nothing_leaves_the_process(tmp_path: Any) -> None:
    assert curation._find_pairs(CurationRuntime(), str(tmp_path)) is pairs_here
