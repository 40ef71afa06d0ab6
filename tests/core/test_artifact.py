"""An artefact is there whole or not at all: what is damaged is noticed, set aside and made anew."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tasks.core.artifact import (
    RECORD,
    Artifact,
    Draft,
    artifact_by_fingerprint,
    find_artifact,
    open_file,
    open_folder,
    read_record,
)
from tasks.core.errors import DamagedArtifactError, SettingsError, StoreUnreachableError
from tasks.core.fingerprint import fingerprint
from tasks.core.storage import open_store

KIND = "student"
FINGERPRINT = fingerprint("a student")
FILES = {"report.json": b"{}", "weights/config.json": b'{"layers": 2}', "weights/deep/model.safetensors": b"w" * 1000}


def draft(store_url: str, files: dict[str, bytes] = FILES) -> Draft:
    draft = Draft(store_url, KIND, FINGERPRINT, version=1, settings={"epochs": 3}, inputs={})
    for name, content in files.items():
        file = draft.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return draft


def stored_key(artifact: Artifact, name: str) -> str:
    """Return where in the store a drafted file lies."""
    return next(f"{artifact.key}/{entry.path}" for entry in read_record(artifact).files if entry.path.endswith(f"/{name}"))


def test_a_published_artefact_is_found_and_opened(store_url: str) -> None:
    published = draft(store_url).publish()
    found = find_artifact(store_url, KIND, FINGERPRINT)
    assert found == published
    assert open_file(published, "report.json").read_bytes() == b"{}"
    folder = open_folder(published, "weights")
    assert (folder / "config.json").read_bytes() == b'{"layers": 2}'
    assert (folder / "deep" / "model.safetensors").read_bytes() == b"w" * 1000


def test_a_handle_is_small_json(store_url: str) -> None:
    published = draft(store_url).publish()
    assert Artifact.model_validate_json(published.model_dump_json()) == published
    assert len(published.model_dump_json()) < 1000


def test_an_artefact_is_not_there_before_its_record(store_url: str) -> None:
    unfinished = draft(store_url)
    assert find_artifact(store_url, KIND, FINGERPRINT) is None
    published = unfinished.publish()
    open_store(store_url).delete(f"{published.key}/{RECORD}")  # as a kill between the last file and the record leaves it
    assert find_artifact(store_url, KIND, FINGERPRINT) is None


def test_the_record_says_what_the_artefact_is_and_comes_from(store_url: str) -> None:
    prompts = Draft(store_url, "prompts", fingerprint("prompts"), version=1, settings={}, inputs={}).publish()
    made = Draft(store_url, KIND, FINGERPRINT, version=7, settings={"epochs": 3}, inputs={"prompts": prompts})
    (made.path / "weights").write_bytes(b"w" * 10)
    made.counts, made.summary, made.seconds = {"steps": 5}, {"loss": 0.5}, {"training": 2.0}
    record = read_record(made.publish())
    assert [(entry.path.partition("/")[2], entry.size_bytes, entry.sha256) for entry in record.files] == [
        ("weights", 10, hashlib.sha256(b"w" * 10).hexdigest())
    ]
    assert (record.kind, record.fingerprint, record.version, record.settings) == (KIND, FINGERPRINT, 7, {"epochs": 3})
    assert record.inputs == {"prompts": prompts}
    assert (record.counts, record.summary, record.seconds["training"]) == ({"steps": 5}, {"loss": 0.5}, 2.0)
    assert {"prefect", "torch", "transformers"} <= record.libraries.keys()
    assert record.created_at.tzinfo is not None


def test_a_discarded_draft_leaves_no_local_files(tmp_path: Path) -> None:
    given_up = draft(str(tmp_path))
    given_up.discard()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_scratch_survives_an_attempt_and_goes_with_the_publishing_one(store_url: str) -> None:
    (draft(store_url).scratch / "checkpoint").write_text("step 10")
    second = draft(store_url)
    assert (second.scratch / "checkpoint").read_text() == "step 10"
    second.publish()
    assert not list(draft(store_url).scratch.iterdir())


@pytest.mark.parametrize("name", ["report.json", "weights/deep/model.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "changed byte", "deleted", "longer"])
def test_a_damaged_file_makes_the_artefact_be_made_anew(store_url: str, name: str, damage: str) -> None:
    published, store = draft(store_url).publish(), open_store(store_url)
    key = stored_key(published, name)
    match damage:
        case "truncated":
            store.write(key, FILES[name][:-1])
        case "changed byte":
            store.write(key, b"#" + FILES[name][1:])
        case "deleted":
            store.delete(key)
        case "longer":
            store.write(key, FILES[name] + b"\n")
    assert find_artifact(store_url, KIND, FINGERPRINT) is None
    again = draft(store_url).publish()
    assert find_artifact(store_url, KIND, FINGERPRINT) == again
    assert open_file(again, name).read_bytes() == FILES[name]


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe", b"null", b'{"kind": "student"}'])
def test_a_record_that_is_none_makes_the_artefact_be_made_anew(store_url: str, garbage: bytes) -> None:
    published = draft(store_url).publish()
    open_store(store_url).write(f"{published.key}/{RECORD}", garbage)
    assert find_artifact(store_url, KIND, FINGERPRINT) is None
    again = draft(store_url).publish()
    assert find_artifact(store_url, KIND, FINGERPRINT) == again


def test_a_record_of_another_artefact_is_not_taken(store_url: str) -> None:
    published, store = draft(store_url).publish(), open_store(store_url)
    key = f"{published.key}/{RECORD}"
    store.write(key, json.dumps({**json.loads(store.read(key)), "fingerprint": "0" * 64}).encode())
    assert find_artifact(store_url, KIND, FINGERPRINT) is None


def test_a_damaged_record_is_kept_for_whoever_looks_into_it(store_url: str) -> None:
    published, store = draft(store_url).publish(), open_store(store_url)
    store.write(f"{published.key}/{RECORD}", b"garbage")
    find_artifact(store_url, KIND, FINGERPRINT)
    kept = [key for key in store.keys(published.key) if key.rpartition("/")[2].startswith("damaged-")]
    assert [store.read(key) for key in kept] == [b"garbage"]


def test_a_large_file_is_checked_when_it_is_opened(store_url: str) -> None:
    large = {"weights": bytes(17 << 20)}
    published, store = draft(store_url, large).publish(), open_store(store_url)
    store.write(stored_key(published, "weights"), bytes((17 << 20) - 1) + b"\x01")
    assert find_artifact(store_url, KIND, FINGERPRINT) == published
    with pytest.raises(DamagedArtifactError, match="run again"):
        open_file(published, "weights")
    assert find_artifact(store_url, KIND, FINGERPRINT) is None
    again = draft(store_url, large).publish()
    assert open_file(again, "weights").read_bytes() == large["weights"]


def test_a_folder_with_a_damaged_file_is_not_opened(store_url: str) -> None:
    published, store = draft(store_url).publish(), open_store(store_url)
    store.write(stored_key(published, "weights/config.json"), b'{"layers": 3}')
    with pytest.raises(DamagedArtifactError, match=r"config\.json"):
        open_folder(published, "weights")


def test_a_name_that_was_never_drafted_is_not_opened(store_url: str) -> None:
    published = draft(store_url).publish()
    for name in ("other.json", "weights", "config.json"):
        with pytest.raises(FileNotFoundError, match="has no file"):
            open_file(published, name)
    with pytest.raises(FileNotFoundError, match="has no folder"):
        open_folder(published, "weight")


def test_of_two_racing_drafts_the_first_record_wins_and_both_succeed(store_url: str) -> None:
    start = Barrier(2)

    def race(number: int) -> tuple[Artifact, bytes]:
        racing = draft(store_url, {"answer": f"by {number}".encode()})
        racing.counts = {"number": number}
        start.wait()
        published = racing.publish()
        return published, open_file(published, "answer").read_bytes()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(race, range(2))
    assert first == second
    assert first[1] == f"by {first[0].counts['number']}".encode()
    assert find_artifact(store_url, KIND, FINGERPRINT) == first[0]


def test_a_slower_attempt_takes_the_earlier_result(store_url: str) -> None:
    slow = draft(store_url, {"answer": b"late"})
    early = draft(store_url, {"answer": b"early"}).publish()
    assert slow.publish() == early
    assert open_file(early, "answer").read_bytes() == b"early"


def test_an_earlier_run_is_named_by_its_fingerprint(store_url: str) -> None:
    published = draft(store_url).publish()
    assert artifact_by_fingerprint(store_url, KIND, FINGERPRINT) == published
    assert artifact_by_fingerprint(store_url, KIND, FINGERPRINT[:16]) == published
    with pytest.raises(SettingsError, match="run what makes it first"):
        artifact_by_fingerprint(store_url, KIND, "0" * 64)


def test_a_store_that_does_not_answer_is_not_taken_for_empty(unreachable_store_url: str) -> None:
    with pytest.raises(StoreUnreachableError):
        find_artifact(unreachable_store_url, KIND, FINGERPRINT)
