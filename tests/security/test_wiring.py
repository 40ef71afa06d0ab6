"""The places where secrets and names pass through: errors, endpoint keys, the parameters of a partition."""

import json
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.exceptions import ParameterTypeError

from flows.curation import curate_partition
from flows.generation import generate_partition
from tasks.core.artifact import Artifact
from tasks.core.errors import PotstillError, SettingsError, StageFailedError, StoreUnreachableError
from tasks.core.fingerprint import fingerprint
from tasks.core.process import run_worker
from tasks.core.secrets import WITHHELD, withhold
from tasks.teachers.endpoint.key import read_key
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.security.conftest import API_KEY, AWS_SECRET

REPORT = "partitions/01234567-89ab-cdef-0123-456789abcdef/0003.json"


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("kind", [SettingsError, StageFailedError, StoreUnreachableError])
def test_our_errors_hold_no_secret_wherever_they_are_raised(kind: type[PotstillError]) -> None:
    error = kind(f"refused: {AWS_SECRET}")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == f"refused: {WITHHELD}"
    assert AWS_SECRET not in repr(error.args)


@pytest.mark.usefixtures("secrets")
def test_what_is_shown_of_a_workers_log_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(f"a library printed {API_KEY}\n")
    with pytest.raises(StageFailedError, match=r"a library printed \[withheld\]"):
        run_worker("no_such_module", tmp_path / "job.json", tmp_path / "worker.log", grace_seconds=1)


def test_an_endpoints_key_is_withheld_whatever_its_variable_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER", "key-of-the-teacher")
    settings = EndpointSettings(url="https://models.example/v1", model="teacher-1", key_environment="TEACHER")
    assert read_key(settings) == "key-of-the-teacher"
    assert withhold("401: key-of-the-teacher is not known") == f"401: {WITHHELD} is not known"


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PREFECT_API_AUTH_STRING", "POTSTILL_ANY"])
def test_no_recipe_has_the_workers_own_secrets_sent_to_an_endpoint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "abcdefgh")
    settings = EndpointSettings(url="https://models.example/v1", model="teacher-1", key_environment=name)
    with pytest.raises(SettingsError, match="not for endpoints"):
        read_key(settings)


@pytest.mark.parametrize(
    "report",
    ["student/0123456789abcdef/record.json", "../../etc/cron.d/a", f"{REPORT}/../../../student", "partitions/plan.json", ""],
)
def test_a_partitions_report_goes_among_the_reports_of_partitions_only(report: str, tmp_path: Path) -> None:
    handle = Artifact(kind="prompts", store=str(tmp_path), fingerprint=fingerprint("prompts"))
    given: dict[str, Any] = {"settings": {}, "store": str(tmp_path), "prompts": handle, "teacher": handle, "span": {}}
    generate_partition.validate_parameters({**given, "report": REPORT})
    with pytest.raises(ParameterTypeError, match="report"):
        generate_partition.validate_parameters({**given, "report": report})


@pytest.mark.parametrize("folder", ["student/0123456789abcdef", "partitions/../dataset", "partitions", ""])
def test_what_a_part_of_a_curation_finds_goes_among_the_partitions_only(folder: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"store": str(tmp_path), "partition": 0}
    curate_partition.validate_parameters({**given, "folder": f"partitions/{uuid4()}"})
    with pytest.raises(ParameterTypeError, match="folder"):
        curate_partition.validate_parameters({**given, "folder": folder})


def test_a_partition_works_on_one_store(tmp_path: Path) -> None:
    here, elsewhere = (
        Artifact(kind="prompts", store=str(tmp_path / place), fingerprint=fingerprint("prompts"))
        for place in ("here", "elsewhere")
    )
    given: dict[str, Any] = {"settings": {}, "store": here.store, "prompts": here, "span": {}, "report": REPORT}
    values = generate_partition.validate_parameters({**given, "teacher": json.loads(elsewhere.model_dump_json())})
    with pytest.raises(SettingsError, match="the input teacher lies in the store"):
        generate_partition.fn(**values)
