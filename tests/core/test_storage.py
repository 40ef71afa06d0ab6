"""The store's promises, on a folder and on S3: whole or not at all, never overwritten by ``create``, never silently empty."""

import os
import resource
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from tasks.core.errors import SettingsError, StoreUnreachableError, UnsafePathError
from tasks.core.s3 import s3_filesystem
from tasks.core.storage import open_store, safe_key
from tests.servers import S3Server


def test_what_is_written_is_read(store_url: str) -> None:
    store = open_store(store_url)
    store.write("kind/one/file.bin", b"\x00\xff")
    assert open_store(store_url).read("kind/one/file.bin") == b"\x00\xff"
    store.write("kind/one/file.bin", b"replaced")
    assert store.read("kind/one/file.bin") == b"replaced"


def test_an_object_that_is_not_there_is_told_apart(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(FileNotFoundError):
        store.read("kind/none")
    assert store.size("kind/none") is None
    assert store.keys("kind") == []
    store.delete("kind/none")


def test_create_never_overwrites(store_url: str) -> None:
    store = open_store(store_url)
    assert store.create("kind/record.json", b"first")
    assert not store.create("kind/record.json", b"second")
    assert store.read("kind/record.json") == b"first"


def test_create_has_one_winner_of_eight(store_url: str) -> None:
    store, start = open_store(store_url), Barrier(8)

    def race(runner: int) -> bool:
        start.wait()
        return store.create("kind/record.json", f"runner {runner}".encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(8)))
    assert won.count(True) == 1
    assert store.read("kind/record.json") == f"runner {won.index(True)}".encode()
    assert store.keys("kind") == ["kind/record.json"]


def test_a_local_file_is_uploaded(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"w" * 100_000)
    store = open_store(store_url)
    store.upload(file, "student/1/weights")
    assert store.size("student/1/weights") == 100_000
    assert store.read("student/1/weights") == b"w" * 100_000


def test_an_object_and_a_folder_are_read_as_local_files(store_url: str) -> None:
    store = open_store(store_url)
    store.write("student/1/model/config.json", b"{}")
    store.write("student/1/model/deep/weights", b"w")
    assert store.local_path("student/1/model/config.json").read_bytes() == b"{}"
    folder = store.local_path("student/1/model")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == ["config.json", "deep/weights"]


def test_keys_are_listed_below_one_folder_only(store_url: str) -> None:
    store = open_store(store_url)
    for key in ("ledger/b", "ledger/a", "ledger/deep/c", "ledger2/d"):
        store.write(key, b"row")
    assert store.keys("ledger") == ["ledger/a", "ledger/b", "ledger/deep/c"]


def test_a_deleted_object_is_gone(store_url: str) -> None:
    store = open_store(store_url)
    store.write("kind/a", b"a")
    store.write("kind/b", b"b")
    store.delete("kind/a")
    assert store.size("kind/a") is None
    assert store.keys("kind") == ["kind/b"]


def test_scratch_is_the_same_folder_every_time_and_no_part_of_the_store(store_url: str) -> None:
    store = open_store(store_url)
    (store.scratch("student/1") / "checkpoint").write_text("half")
    store.write("student/1/a", b"a")
    assert (open_store(store_url).scratch("student/1") / "checkpoint").read_text() == "half"
    assert store.keys("student") == ["student/1/a"]


@pytest.mark.parametrize(
    "key",
    ["", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a/.work/b", "a\\b", "a b", "a\n", "ü", "a:b", "~/a"],
)
def test_a_key_that_could_leave_the_store_is_refused(key: str) -> None:
    with pytest.raises(UnsafePathError, match="not a plain relative path"):
        safe_key(key)


@pytest.mark.parametrize("key", ["../a", "/a", ".hidden"])
def test_no_operation_takes_a_key_that_could_leave_the_store(store_url: str, tmp_path: Path, key: str) -> None:
    store = open_store(store_url)
    source = tmp_path / "source"
    source.touch()
    calls: list[Callable[[], object]] = [
        lambda: store.read(key),
        lambda: store.write(key, b""),
        lambda: store.create(key, b""),
        lambda: store.upload(source, key),
        lambda: store.local_path(key),
        lambda: store.size(key),
        lambda: store.delete(key),
        lambda: store.keys(key),
    ]
    for call in calls:
        with pytest.raises(UnsafePathError):
            call()
    assert source.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "file:///tmp/store",
        "gs://bucket/prefix",
        "github://organisation:name@/",
        "memory://store",
        "simplecache::s3://bucket/prefix",
        "zip://a::/tmp/store.zip",
        "s3://bucket/a::s3://bucket/b",
        "s3://bucket/../other",
        "s3://",
        "s3://UPPER/prefix",
        "s3://bucket/a?versionId=1",
    ],
)
def test_other_kinds_of_store_and_chains_of_them_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/prefix"):
        open_store(url)


def test_a_local_store_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("runs/../store").url == str(tmp_path / "store")


def test_a_store_that_does_not_answer_is_an_error(unreachable_store_url: str, tmp_path: Path) -> None:
    store, source = open_store(unreachable_store_url), tmp_path / "source"
    source.write_bytes(b"a")
    calls: list[Callable[[], object]] = [
        lambda: store.read("kind/a"),
        lambda: store.write("kind/a", b"a"),
        lambda: store.create("kind/a", b"a"),
        lambda: store.upload(source, "kind/a"),
        lambda: store.delete("kind/a"),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:  # at once: against S3 each takes seconds of retries
        errors = [call.exception() for call in [pool.submit(call) for call in calls]]
    assert [type(error) for error in errors] == [StoreUnreachableError] * len(calls)
    assert all(f"the store {store.url} does not answer" in str(error) for error in errors)
    assert source.read_bytes() == b"a"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.write("kind/small", b"kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as a full disk would: the write ends half-way
    try:
        for write in (store.write, store.create):
            for key in ("kind/large", "kind/small"):
                with pytest.raises(StoreUnreachableError, match="disk space"):
                    write(key, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["small"]
    assert store.read("kind/small") == b"kept"


def test_an_upload_that_fails_leaves_nothing(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "gone", "kind/a")
    assert store.keys("kind") == []


def test_a_listing_tells_sizes_and_ages(store_url: str) -> None:
    store, before = open_store(store_url), datetime.now(UTC) - timedelta(seconds=2)
    store.write("kind/b", b"bb")
    store.write("kind/a", b"a")
    store.write("kinder/c", b"")
    (store.scratch("kind") / "unfinished").touch()
    assert [(found.key, found.size_bytes) for found in store.objects()] == [("kind/a", 1), ("kind/b", 2), ("kinder/c", 0)]
    assert [found.key for found in store.objects("kind")] == ["kind/a", "kind/b"]
    assert all(before < found.modified < before + timedelta(minutes=2) for found in store.objects())
    assert store.objects("none") == []


def test_an_uploaded_file_is_as_old_as_its_upload(store_url: str, tmp_path: Path) -> None:
    store, source = open_store(store_url), tmp_path / "source"
    source.write_bytes(b"w")
    os.utime(source, (0, 0))
    store.upload(source, "kind/a")
    [found] = store.objects()
    assert datetime.now(UTC) - found.modified < timedelta(minutes=2)


def test_an_object_that_was_written_anew_is_not_deleted(store_url: str) -> None:
    store = open_store(store_url)
    store.write("kind/a", b"listed")
    store.write("kind/b", b"listed")
    first, second = store.objects()
    store.write("kind/a", b"anew")
    assert not store.delete_unchanged(first)
    assert store.delete_unchanged(second)
    assert store.delete_unchanged(second)
    assert [found.key for found in store.objects()] == ["kind/a"]


def test_a_folder_that_is_linked_into_a_store_is_listed_and_a_circle_ends(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.write("kind/a", b"a")
    (tmp_path / "large" / "one").mkdir(parents=True)
    (tmp_path / "large" / "one" / "b").write_bytes(b"b")
    (tmp_path / "large" / "circle").symlink_to(tmp_path / "large")
    (tmp_path / "store" / "report").symlink_to(tmp_path / "large")
    assert [found.key for found in store.objects()] == ["kind/a", "report/one/b"]


def test_the_last_object_of_a_folder_takes_the_folder_with_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("kind/one/deep/a", b"a")
    store.write("kind/two/b", b"b")
    assert all(store.delete_unchanged(found) for found in store.objects("kind/one"))
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["two"]


@pytest.mark.slow
def test_an_upload_in_parts_that_did_not_end_is_found_and_abandoned(s3_environment: S3Server) -> None:
    prefix, filesystem = uuid.uuid4().hex, s3_filesystem()
    place = {"Bucket": s3_environment.bucket, "Key": f"{prefix}/kind/a"}
    upload = filesystem.call_s3("create_multipart_upload", **place)["UploadId"]
    for part in (1, 2):
        filesystem.call_s3("upload_part", **place, UploadId=upload, PartNumber=part, Body=b"w" * 1000)
    store = open_store(f"s3://{s3_environment.bucket}/{prefix}")
    [write] = store.unfinished_writes()
    assert (write.key, write.size_bytes, write.upload_id) == ("kind/a", 2000, upload)
    assert store.keys("kind") == []
    store.abandon(write)
    store.abandon(write)
    assert store.unfinished_writes() == []
