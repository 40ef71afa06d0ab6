"""What runs leave beside artefacts goes, but for rows that were paid for."""

import json
import uuid
from pathlib import Path

import pytest

from tasks.core.artifact import Artifact, open_file
from tasks.core.fingerprint import fingerprint
from tasks.core.s3 import s3_filesystem
from tasks.core.storage import open_store
from tests.core.garbage.stores import (
    PROBE,
    YEAR,
    collect,
    found,
    garbage,
    lineage,
    local_files,
    make,
    moment,
    nobody,
    opens,
)
from tests.core.ledgers import answers, open_ledger
from tests.core.ledgers import found as rows_found
from tests.servers import S3Server


@pytest.fixture
def s3_url(s3_environment: S3Server) -> str:
    """The URL of an empty store on S3."""
    return f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}"


def test_rows_are_never_dropped_and_shards_that_nobody_committed_are(store_url: str) -> None:
    ledger, store = open_ledger(store_url), open_store(store_url)
    for number in range(0, 200, 2):  # more than one segment of the index
        ledger.commit(answers(ledger, [number, number + 1]))
    uncommitted = f"ledger/{ledger.namespace[:16]}/rows/00000000000000aa.parquet"
    store.write(uncommitted, b"rows of a run that was killed before it committed them")
    store.write(f"batches/{ledger.namespace[:16]}/batch_1.json", b"{}")
    waiting = store.scratch(f"spill/{ledger.namespace[:16]}") / "0000.parquet"
    waiting.write_bytes(b"paid rows that the store did not take")
    damaged = waiting.with_name("0001.damaged")
    damaged.write_bytes(b"")
    old = moment(store_url)
    assert found(collect(store_url, old)) == {"shard": {uncommitted}, "torn file": {str(damaged)}}
    assert rows_found(open_ledger(store_url), range(200)) == list(range(200))
    assert store.keys("batches")
    assert waiting.exists()


def test_journals_of_attempts_go_once_the_work_is_done_or_given_up(store_url: str) -> None:
    store = open_store(store_url)
    _, student, _ = lineage(store_url)
    resting = "generations/00000000000000aa"
    for key in (student.key, resting):
        store.write(f"attempts/{key}/{'0' * 32}.json", b"{}")
    old = moment(store_url)
    assert found(collect(store_url, old, unfinished=YEAR)) == {"journal": {f"attempts/{student.key}"}}
    assert found(collect(store_url, old)) == {"journal": {f"attempts/{resting}"}}
    assert store.keys("attempts") == []


def test_copies_of_checkpoints_go_once_the_training_is_done_or_given_up(store_url: str) -> None:
    store = open_store(store_url)
    _, student, _ = lineage(store_url)
    resting = "student/00000000000000aa"
    for key in (student.key, resting):
        store.write(f"checkpoints/{key}/blobs/{'0' * 64}", b"weights")
        store.write(f"checkpoints/{key}/checkpoint-00000010.json", b"{}")
    old = moment(store_url)
    assert found(collect(store_url, old, unfinished=YEAR)) == {"checkpoints": {f"checkpoints/{student.key}"}}
    assert len(store.keys(f"checkpoints/{resting}")) == 2
    assert found(collect(store_url, old)) == {"checkpoints": {f"checkpoints/{resting}"}}
    assert store.keys("checkpoints") == []


def test_what_runs_leave_beside_artefacts_goes(store_url: str) -> None:
    store = open_store(store_url)
    prompts, _, _ = lineage(store_url)
    gone = Artifact(kind="student", store=store_url, fingerprint=fingerprint("gone"))
    dropped = make(store_url, "model", "dropped in the same collection")
    for artifact in (prompts, gone, dropped):
        store.write(f"prefect/{artifact.kind}-{artifact.fingerprint[:16]}", b"{}")
        result = {"__class__": "tasks.core.artifact.Artifact", "data": artifact.model_dump(mode="json")}
        store.write(f"prefect/{artifact.fingerprint[:32]}", json.dumps(result).encode())
    store.write("prefect/something", b"else")
    store.write(f"probe/{PROBE}", b"first")
    store.write("partitions/run/plan.json", b"[]")
    store.write("partitions/run/0000.json", b"{}")
    store.write("partitions/run/0000-band-03.parquet", b"")
    store.write("partitions/run/0000-pairs.parquet", b"")
    store.write("partitions/run/0000-rows.parquet", b"")
    old = moment(store_url)
    assert found(collect(store_url, old)) == {
        "artefact": {dropped.key},
        "Prefect result": {
            f"prefect/{name}"
            for artifact in (gone, dropped)
            for name in (f"{artifact.kind}-{artifact.fingerprint[:16]}", artifact.fingerprint[:32])
        },
        "probe": {f"probe/{PROBE}"},
        "partitions": {"partitions/run"},
    }
    assert len(store.keys("prefect")) == 3
    assert collect(store_url, old).heaps == ()


def test_scratch_folders_go_once_the_artefact_is_there_or_its_run_given_up(store_url: str) -> None:
    store = open_store(store_url)
    prompts, _, _ = lineage(store_url)
    resting, paid = "student/00000000000000aa", "evaluation/00000000000000aa"
    for name in (prompts.key, resting, "drafts/0000aaaa", paid):
        (store.scratch(name) / "checkpoints").mkdir()
        (store.scratch(name) / "checkpoints" / "weights").write_bytes(b"weights")
    (store.scratch(paid) / "paid_answers.jsonl").write_text("{}")
    (store.scratch("ledger") / "staged.parquet").write_bytes(b"")
    old = moment(store_url)
    scratch = store.work
    assert found(collect(store_url, old, unfinished=YEAR)) == {
        "scratch folder": {str(scratch / prompts.key)},
        "torn file": {str(scratch / "ledger" / "staged.parquet")},
    }
    assert found(collect(store_url, old)) == {"scratch folder": {str(scratch / resting), str(scratch / "drafts" / "0000aaaa")}}
    assert (store.scratch(paid) / "paid_answers.jsonl").exists()
    assert not (scratch / resting).exists()


def test_staged_files_of_killed_writers_go_and_those_of_live_ones_stay(tmp_path: Path) -> None:
    staged, others = "student/00000000000000aa/.record.json", "no/artefact"
    for folder in (Path(staged).parent, others):
        (tmp_path / folder).mkdir(parents=True)
    for path in (f"{staged}.0000aaaa", f"{others}/.own.0000aaaa"):
        (tmp_path / path).write_text("half")
    old = moment(str(tmp_path))
    (tmp_path / f"{staged}.0000bbbb").write_text("half")
    assert found(collect(str(tmp_path), old)) == {"staged file": {f"{staged}.0000aaaa"}}
    assert local_files(tmp_path) == {f"{staged}.0000bbbb", f"{others}/.own.0000aaaa"}


def start_upload(store_url: str, key: str) -> str:
    """Begin a multipart upload and leave it after its first part, as a killed process does; return its id."""
    bucket, _, prefix = store_url.removeprefix("s3://").partition("/")
    place = {"Bucket": bucket, "Key": f"{prefix}/{key}"}
    upload = s3_filesystem().call_s3("create_multipart_upload", **place)["UploadId"]
    s3_filesystem().call_s3("upload_part", **place, UploadId=upload, PartNumber=1, Body=b"w" * 100_000)
    return upload


@pytest.mark.slow
def test_multipart_uploads_that_were_never_completed_are_aborted(s3_url: str) -> None:
    store = open_store(s3_url)
    start_upload(s3_url, "student/00000000000000aa/0000aaaa/model.safetensors")
    start_upload(f"{s3_url}-other", "student/00000000000000aa/0000aaaa/model.safetensors")
    old = moment(s3_url)
    start_upload(s3_url, "student/00000000000000bb/0000aaaa/model.safetensors")
    listed = garbage(s3_url, old).keep(nobody)
    assert found(listed) == {"multipart upload": {"student/00000000000000aa/0000aaaa/model.safetensors"}}
    assert listed.size_bytes == 100_000
    assert len(store.unfinished_writes()) == 2
    assert found(collect(s3_url, old)) == found(listed)
    assert [write.key for write in store.unfinished_writes()] == ["student/00000000000000bb/0000aaaa/model.safetensors"]
    assert len(open_store(f"{s3_url}-other").unfinished_writes()) == 1


@pytest.mark.slow
def test_local_copies_of_what_is_gone_from_s3_go_with_it(s3_url: str) -> None:
    _, _, report = lineage(s3_url)
    unneeded = make(s3_url, "model")
    opens(report)
    copy, cache = open_file(unneeded, "data"), open_store(s3_url).cache
    assert cache is not None
    kept = local_files(cache) - {copy.relative_to(cache).as_posix()}
    old = moment(s3_url)
    assert found(collect(s3_url, old)) == {"artefact": {unneeded.key}, "cached copy": {str(cache / unneeded.key)}}
    assert local_files(cache) == kept
