"""The copy of a training's checkpoints while its store is slow, away or gone, and while the machine that makes it dies."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.core.errors import StoreUnreachableError
from tasks.core.s3 import S3Store, s3_filesystem
from tasks.training.checkpoints.local import seal_checkpoint
from tests.servers import S3Server, closed_port
from tests.training.checkpoint_folders import IDENTITY, contents, sealed, write_checkpoint
from tests.training.mirrors import PREFIX, key, manifests, mirror_of, mirrored, restored, snapshots
from tests.waiting import until

UPLOADING = """
import sys, time
from pathlib import Path
from tasks.core.storage import open_store
from tasks.training.checkpoints.mirror import CheckpointMirror
store, prefix, folder, identity = sys.argv[1:]
CheckpointMirror(open_store(store), prefix, Path(folder), identity).note_new()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def s3_store(s3_environment: S3Server) -> S3Store:
    return S3Store(f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}")


@pytest.fixture
def unreachable_s3(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store at a port where nobody listens."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{closed_port()}")
        s3_filesystem.cache_clear()
        yield S3Store(f"s3://{s3_environment.bucket}/unreachable")
    s3_filesystem.cache_clear()


@pytest.mark.slow
def test_an_s3_store_that_does_not_answer_is_no_reason_to_start_anew(unreachable_s3: S3Store, there: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        mirror_of(unreachable_s3, there).restore()


@pytest.mark.slow
def test_a_bucket_that_is_gone_is_no_reason_to_start_anew(s3_environment: S3Server, there: Path) -> None:
    with pytest.raises(OSError, match="bucket"):
        mirror_of(S3Store("s3://no-such-bucket/prefix"), there).restore()


@pytest.mark.slow
def test_of_checkpoints_that_wait_for_a_slow_store_only_the_newest_is_copied(
    s3_store: S3Store, s3_environment: S3Server, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror, server = mirror_of(s3_store, here), psutil.Process(s3_environment.pid)
    server.suspend()
    try:
        for step in (2, 4, 6):
            sealed(here, step)
            mirror.note_new()
        started = time.monotonic()
        mirror.flush(0.2)
        assert time.monotonic() - started < 2, "a time-out ends the wait"
        assert "could not be copied" in caplog.text
    finally:
        server.resume()
    mirror.flush(60)
    assert manifests(s3_store) == [key(2), key(6)]
    assert not snapshots(here)


@pytest.mark.slow
@pytest.mark.parametrize(("files", "file_bytes"), [(150, 1 << 20), (2, 110 << 20)], ids=["many files", "large files"])
def test_a_machine_that_dies_in_the_middle_of_an_upload_leaves_nothing_partial(
    s3_store: S3Store, s3_environment: S3Server, here: Path, there: Path, files: int, file_bytes: int
) -> None:
    mirrored(s3_store, here, 2)
    before, blobs = contents(here / "checkpoint-2"), f"{PREFIX}/blobs"
    known = len(s3_store.keys(blobs))
    checkpoint = write_checkpoint(here, 4)
    for number in range(files):
        (checkpoint / f"shard-{number:03d}.safetensors").write_bytes(os.urandom(file_bytes))
    seal_checkpoint(checkpoint, 4, 1, IDENTITY)
    command = [sys.executable, "-c", UPLOADING, s3_store.url, PREFIX, str(here), IDENTITY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        if files > 2:
            until(lambda: len(s3_store.keys(blobs)) > known + 3, "the first shard, after three other files")
        else:
            until(lambda: bool(s3_filesystem().list_multipart_uploads(s3_environment.bucket)), "a part of the first shard")
        process.kill()
    assert len(s3_store.keys(blobs)) < known + 3 + files, "it was killed in the middle"
    assert manifests(s3_store) == [key(2)]
    assert restored(s3_store, there) == there / "checkpoint-2"
    assert contents(there / "checkpoint-2") == before

    mirror = mirror_of(s3_store, here)  # the machine comes back
    mirror.restore()
    mirror.flush(120)
    assert restored(s3_store, there) == there / "checkpoint-4"
    assert contents(there / "checkpoint-4") == contents(here / "checkpoint-4")
