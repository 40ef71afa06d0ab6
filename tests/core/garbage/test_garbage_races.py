"""A collection beside runs: what they make, find or use while it goes on stays, and what it half deletes is no damage."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.artifact import Artifact, find_artifact
from tasks.core.fingerprint import fingerprint
from tasks.core.storage import open_store
from tests.core.garbage.stores import PROBE, collect, found, garbage, lineage, make, moment, nobody, opens
from tests.core.ledgers import answers, open_ledger
from tests.core.ledgers import found as rows_found


def test_a_shard_that_was_committed_meanwhile_stays(tmp_path: Path) -> None:
    store_url, store = str(tmp_path), open_store(str(tmp_path))
    ledger = open_ledger(store_url)
    ledger.commit(answers(ledger, [1]))
    [entry] = store.keys(f"ledger/{ledger.namespace[:16]}/log")
    logged = store.read(entry)
    store.delete(entry)  # as a run finds it that has uploaded its shard and not yet named it
    planned = garbage(store_url, moment(store_url))
    store.write(entry, logged)
    [heap] = planned.drop(nobody).heaps
    assert (heap.what, heap.dropped) == ("shard", 0)
    assert rows_found(open_ledger(store_url), [1]) == [1]


def test_a_training_that_goes_on_keeps_the_copies_of_its_checkpoints(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("checkpoints/student/00000000000000aa/checkpoint-00000010.json", b"{}")
    planned = garbage(str(tmp_path), moment(str(tmp_path)))
    store.write("checkpoints/student/00000000000000aa/checkpoint-00000020.json", b"{}")
    [heap] = planned.drop(nobody).heaps
    assert heap.dropped == 0
    assert len(store.keys("checkpoints")) == 2


def test_a_scratch_folder_that_is_used_again_stays(tmp_path: Path) -> None:
    folder = open_store(str(tmp_path)).scratch("student/00000000000000aa")
    planned = garbage(str(tmp_path), moment(str(tmp_path)))
    (folder / "checkpoint-10").mkdir()
    [heap] = planned.drop(nobody).heaps
    assert heap.dropped == 0
    assert (folder / "checkpoint-10").exists()


def test_an_artefact_that_gets_a_report_between_the_look_and_the_deletion_stays(store_url: str) -> None:
    unneeded, found_by_a_run = make(store_url, "prompts", "unneeded"), make(store_url, "prompts", "found by a run")
    planned = garbage(store_url, moment(store_url))
    report = make(store_url, "report", "of the run", {"prompts": found_by_a_run})
    [heap] = planned.drop(nobody).heaps
    assert (heap.pieces, heap.dropped) == (2, 1)
    opens(report)
    assert find_artifact(store_url, "prompts", unneeded.fingerprint) is None


def test_an_artefact_that_is_made_anew_between_the_look_and_the_deletion_stays(store_url: str) -> None:
    unneeded = make(store_url, "prompts")
    planned = garbage(store_url, moment(store_url))
    open_store(store_url).delete(f"{unneeded.key}/record.json")
    anew = make(store_url, "prompts")
    planned.drop(nobody)
    opens(anew)


def test_an_attempt_that_publishes_between_the_look_and_the_deletion_stays(tmp_path: Path) -> None:
    store_url, store = str(tmp_path), open_store(str(tmp_path))
    _, student, report = lineage(store_url)
    record = store.read(f"{student.key}/record.json")
    store.delete(f"{student.key}/record.json")
    planned = garbage(store_url, moment(store_url))
    store.write(f"{student.key}/record.json", record)
    planned.drop(nobody)
    opens(report)


def test_a_deletion_that_ends_half_way_leaves_a_miss_and_no_damage_and_the_next_one_ends_it(store_url: str) -> None:
    store = open_store(store_url)
    unneeded = make(store_url, "prompts")
    old = moment(store_url)
    [piece] = garbage(store_url, old).pieces
    first_file = store.keys(unneeded.key)[0]
    store.write(first_file, b"written anew")  # ends the deletion of the rest
    assert not piece.delete()
    assert store.size(f"{unneeded.key}/record.json") is None
    assert find_artifact(store_url, "prompts", unneeded.fingerprint) is None
    assert first_file in store.keys(unneeded.key)
    assert not [key for key in store.keys(unneeded.key) if "damaged" in key]
    collect(store_url, moment(store_url))
    assert store.objects() == []


def test_what_a_run_may_use_stays_while_it_is_under_way(store_url: str) -> None:
    store = open_store(store_url)
    unneeded = make(store_url, "prompts")
    store.write("partitions/run/plan.json", b"[]")
    store.write(f"probe/{PROBE}", b"first")
    old = moment(store_url)
    collection = collect(store_url, old, run="the flow run happy-otter")
    assert {heap.what: heap.dropped for heap in collection.heaps} == {"artefact": 0, "partitions": 0, "probe": 1}
    assert collection.held_back == (
        "the flow run happy-otter is at work on this store, or was meanwhile: what it may use stays this time",
    )
    opens(unneeded)
    assert found(collect(store_url, old)) == {"artefact": {unneeded.key}, "partitions": {"partitions/run"}}


def test_runs_that_find_and_make_artefacts_while_collections_go_on_lose_nothing(tmp_path: Path) -> None:
    store_url, runs = str(tmp_path), 6
    for number in range(40):
        make(store_url, "prompts", f"{number}")
    old, ended = moment(store_url), list[datetime]()
    under_way = False

    def run_since(begun: datetime) -> str | None:
        return "a run" if under_way or (ended and ended[-1] >= begun) else None

    def run(number: int) -> Artifact:
        nonlocal under_way
        under_way = True
        time.sleep(0.2)  # as a run does at its start, before it looks for anything
        prompts = find_artifact(store_url, "prompts", fingerprint(["prompts", f"{number}"]))
        prompts = prompts or make(store_url, "prompts", f"{number}")
        time.sleep(0.05)
        report = make(store_url, "report", f"{number}", {"prompts": prompts})
        opens(report)
        ended.append(datetime.now(UTC))
        under_way = False
        time.sleep(0.1)
        return report

    with ThreadPoolExecutor(1) as pool:
        reports = [pool.submit(run, number) for number in range(0, 40, 40 // runs)]
        while not reports[-1].done():
            garbage(store_url, old).drop(run_since)
    assert found(collect(store_url, old)) == {}
    assert len(open_store(store_url).keys("prompts")) == 3 * len(reports)
    for report in reports:
        opens(report.result())
