"""The copy of a training's checkpoints in the store: another machine resumes from it bit by bit alike, and from nothing torn."""

import json
import shutil
import uuid
from pathlib import Path

import pytest

from tasks.core.errors import StoreUnreachableError
from tasks.core.storage import Store, open_store
from tasks.training.checkpoints.local import newest_checkpoint
from tests.servers import S3Server
from tests.training.checkpoint_folders import IDENTITY, contents, sealed, write_checkpoint
from tests.training.mirrors import PREFIX, blob_of, is_idle, key, manifests, mirror_of, mirrored, restored, snapshots
from tests.waiting import until


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3_environment")
    return open_store(f"s3://{server.bucket}/{uuid.uuid4().hex}")


def test_another_machine_resumes_from_the_newest_checkpoint_bit_by_bit_alike(store: Store, here: Path, there: Path) -> None:
    mirrored(store, here, 2, 4)
    assert restored(store, there) == there / "checkpoint-4"
    assert contents(there / "checkpoint-4") == contents(here / "checkpoint-4")
    assert not snapshots(there), "no second copy is left"


def test_a_training_without_a_copy_starts_from_the_start(store: Store, there: Path) -> None:
    assert restored(store, there) is None


def test_a_copy_is_needed_where_unfinished_work_does_not_lie_in_the_store(store: Store) -> None:
    assert store.scratch("training").is_relative_to(store.url) == store.keeps_scratch


def test_a_machine_that_has_a_newer_one_keeps_its_own(store: Store, here: Path) -> None:
    mirrored(store, here, 2)
    sealed(here, 4)
    before = contents(here)
    mirror_of(store, here).restore()
    assert contents(here) == before


def test_a_machine_whose_own_is_torn_takes_that_of_the_store(store: Store, here: Path, tmp_path: Path) -> None:
    mirrored(store, here, 2, 4)
    whole = contents(here / "checkpoint-4")
    torn = here / "checkpoint-4" / "optimizer.pt"
    torn.unlink()  # not truncated: a local store shares its content
    torn.write_bytes(b"half")
    assert restored(store, here) == here / "checkpoint-4"
    assert contents(here / "checkpoint-4") == whole


def test_the_trainer_may_delete_a_checkpoint_that_is_being_copied(store: Store, here: Path, there: Path) -> None:
    whole = contents(sealed(here, 2))
    mirror = mirror_of(store, here)
    mirror.note_new()
    shutil.rmtree(here / "checkpoint-2")
    write_checkpoint(here, 4)  # not sealed: it is being written
    mirror.flush(30)
    assert restored(store, there) == there / "checkpoint-2"
    assert contents(there / "checkpoint-2") == whole


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "manifest"])
def test_a_torn_copy_is_set_aside_and_the_one_before_it_is_restored(
    store: Store, here: Path, there: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    mirrored(store, here, 2, 4)
    before = contents(here / "checkpoint-2")
    blob = blob_of(store, 4, "optimizer.pt")
    content = bytearray(store.read(blob))
    content[7] ^= 1
    match damage:
        case "missing":
            store.delete(blob)
        case "truncated":
            store.write(blob, bytes(content[:-9]))
        case "flipped":
            store.write(blob, bytes(content))
        case _:
            store.write(key(4), store.read(key(4))[:99])
    assert restored(store, there) == there / "checkpoint-2"
    assert contents(there / "checkpoint-2") == before
    assert manifests(store) == [key(2)]
    assert len(store.keys(f"{PREFIX}/torn")) == 1
    (warning,) = [message for message in caplog.messages if "torn" in message]
    assert ("its manifest is not one" if damage == "manifest" else "optimizer.pt") in warning
    mirrored(store, there, 4)
    third = here.parent.with_name("third") / "checkpoints"
    assert restored(store, third) == third / "checkpoint-4", "what was damaged is copied again"


def test_what_did_not_change_is_uploaded_once(store: Store, here: Path) -> None:
    mirror = mirrored(store, here, 2)
    first = set(store.keys(f"{PREFIX}/blobs"))
    tokenizer = blob_of(store, 2, "tokenizer.json")
    assert len(first) == 5
    content = bytearray(store.read(tokenizer))
    store.write(tokenizer, bytes(len(content)))  # a second upload would put the right content back
    sealed(here, 4)
    mirror.note_new()
    mirror.flush(30)
    assert blob_of(store, 4, "tokenizer.json") == tokenizer
    assert store.read(tokenizer) == bytes(len(content))
    assert len(set(store.keys(f"{PREFIX}/blobs")) - first) == 4


def test_the_store_holds_the_two_newest_and_no_blob_of_older_ones(store: Store, here: Path) -> None:
    mirrored(store, here, 2, 4, 6, 8)
    assert manifests(store) == [key(6), key(8)]
    named = {blob_of(store, step, name) for step in (6, 8) for name in json.loads(store.read(key(step)))["files"]}
    assert set(store.keys(f"{PREFIX}/blobs")) == named


def test_a_copy_of_another_training_is_not_restored(
    store: Store, here: Path, there: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirrored(store, here, 2, identity="another")
    assert restored(store, there) is None
    assert not list(there.glob("*"))
    assert "of the training 'another', wanted '0123456789abcdef'" in caplog.text
    assert len(store.keys(f"{PREFIX}/foreign")) == 1
    assert manifests(store) == []


def test_a_checkpoint_of_another_training_is_not_copied(store: Store, here: Path) -> None:
    sealed(here, 2)
    sealed(here, 4, identity="another")
    mirror = mirror_of(store, here)
    mirror.note_new()
    mirror.flush(30)
    assert manifests(store) == [key(2)]


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "nested/../../escaped"])
def test_a_manifest_whose_paths_leave_the_folder_is_not_restored(
    store: Store, here: Path, there: Path, path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirrored(store, here, 2)
    manifest = json.loads(store.read(key(2)))
    manifest["files"][path] = manifest["files"]["optimizer.pt"]
    store.write(key(2), json.dumps(manifest).encode())
    assert restored(store, there) is None
    assert "is not one of a file inside the checkpoint" in caplog.text
    assert not list(tmp_path.rglob("escaped"))
    assert not Path("/tmp/escaped").exists()


def test_a_damaged_local_file_never_gets_the_name_of_a_whole_one(
    store: Store, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = sealed(here, 2)
    size = (checkpoint / "optimizer.pt").stat().st_size
    (checkpoint / "optimizer.pt").write_bytes(bytes(size))
    mirror = mirror_of(store, here)
    mirror.note_new()
    mirror.flush(30)
    assert manifests(store) == []
    assert all(store.read(blob) != bytes(size) for blob in store.keys(f"{PREFIX}/blobs"))
    assert "optimizer.pt has the hash" in caplog.text


def test_once_the_student_is_published_nothing_is_left(store: Store, here: Path) -> None:
    mirror = mirrored(store, here, 2, 4)
    store.write("checkpoints/other/kept", b"another training's")
    mirror.remove()
    assert store.keys("checkpoints") == ["checkpoints/other/kept"]


def test_an_upload_that_fails_is_said_once_and_made_up_for_at_the_next_checkpoint(
    tmp_path: Path, here: Path, there: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "store"
    root.write_text("not a folder")
    store = Store(root)
    mirror = mirror_of(store, here)
    for step in (2, 4):
        sealed(here, step)
        until(lambda: is_idle(mirror, here), "the end of the upload")
    (warning,) = caplog.messages
    assert "step 2 was not copied (the store" in warning
    assert "the training goes on" in warning
    assert newest_checkpoint(here, IDENTITY, 1) == here / "checkpoint-4"
    mirror.flush(30)
    assert "another one from an older checkpoint" in caplog.messages[-1]
    root.unlink()
    sealed(here, 6)
    mirror.note_new()
    mirror.flush(30)
    assert restored(store, there) == there / "checkpoint-6"


def test_a_failed_removal_is_only_a_warning(tmp_path: Path, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "store"
    root.write_text("not a folder")
    mirror_of(Store(root), here).remove()
    assert "could not be removed" in caplog.text


def test_a_store_that_does_not_answer_is_no_reason_to_start_anew(tmp_path: Path, there: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(StoreUnreachableError):
        mirror_of(Store(tmp_path / "store"), there).restore()
