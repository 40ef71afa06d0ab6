"""Whose answers a model is taken through, and what is said where it is not."""

from pathlib import Path

import pytest

from tasks.core.artifact import Artifact, open_file
from tasks.core.caching import Stage
from tasks.fidelity.plan import plan_following
from tasks.model import prepare_endpoint
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.comparing.artifacts import Named
from tests.models import tiny_model
from tests.teaching import teach


def evaluated(store: Path, teacher: Artifact) -> Artifact:
    """Return a teacher's evaluation that has candidates."""
    with Stage("evaluation", version=1).draft(str(store), Named(name="teacher"), model=teacher) as draft:
        (draft.path / "candidates.parquet").write_bytes(b"rows")
        return draft.publish()


@pytest.fixture
def model(tmp_path: Path) -> Artifact:
    return teach(tmp_path / "store", tiny_model(tmp_path / "student", layers=1))


def test_a_model_with_the_teachers_tokens_follows_its_answers(tmp_path: Path, model: Artifact) -> None:
    teacher = evaluated(tmp_path / "store", teach(tmp_path / "store", tiny_model(tmp_path / "teacher")))
    job, reason = plan_following(model, teacher, 9, tmp_path)

    assert (job.candidates, reason) == (open_file(teacher, "candidates.parquet"), None)


def test_an_endpoint_is_not_followed(tmp_path: Path, model: Artifact) -> None:
    settings = EndpointSettings(url="http://127.0.0.1:9/v1", model="acme/large")
    teacher = evaluated(tmp_path / "store", prepare_endpoint.fn(settings=settings, store=str(tmp_path / "store")))
    job, reason = plan_following(model, teacher, 9, tmp_path)

    assert job.candidates is None
    assert reason is not None and reason.startswith("the teacher acme/large runs behind an endpoint")


def test_a_teacher_that_means_other_tokens_is_not_followed(tmp_path: Path, model: Artifact) -> None:
    folder = tiny_model(tmp_path / "teacher")
    tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.replace('"<|pad|>"', '"<|gap|>"'), encoding="utf-8")
    job, reason = plan_following(model, evaluated(tmp_path / "store", teach(tmp_path / "store", folder)), 9, tmp_path)

    assert job.candidates is None
    assert reason is not None and reason.startswith("their tokens differ: ")


def test_a_teacher_that_is_on_another_machine_is_not_followed(tmp_path: Path, model: Artifact) -> None:
    folder = tiny_model(tmp_path / "teacher")
    teacher = evaluated(tmp_path / "store", teach(tmp_path / "store", folder))
    folder.rename(tmp_path / "elsewhere")
    job, reason = plan_following(model, teacher, 9, tmp_path)

    assert job.candidates is None
    assert reason is not None and reason.startswith("the teacher's tokens are not known here: ")
