"""What no report was made from goes, and what anything may need stays."""

from pathlib import Path

import pytest

from tasks.core.artifact import find_artifact
from tasks.core.errors import StoreUnreachableError
from tasks.core.garbage.collection import Collection
from tasks.core.storage import open_store
from tests.core.garbage.stores import WEEK, YEAR, attempt, collect, found, garbage, lineage, make, moment, nobody, opens


def test_what_no_report_was_made_from_goes_and_all_else_stays(store_url: str) -> None:
    _, _, report = lineage(store_url)
    prompts = make(store_url, "prompts", "given up")
    student = make(store_url, "student", "given up", {"prompts": prompts})
    old = moment(store_url)
    collection = collect(store_url, old)
    assert found(collection) == {"artefact": {prompts.key, student.key}}
    assert [(heap.pieces, heap.dropped, heap.objects) for heap in collection.heaps] == [(2, 2, 6)]
    assert open_store(store_url).objects(prompts.key) == []
    assert find_artifact(store_url, "student", student.fingerprint) is None
    opens(report)
    assert collect(store_url, old).heaps == ()


def test_a_dry_run_finds_the_same_and_drops_nothing(store_url: str) -> None:
    lineage(store_url)
    make(store_url, "prompts", "given up")
    old, before = moment(store_url), open_store(store_url).objects()
    listed = garbage(store_url, old).keep(nobody)
    assert (listed.dry_run, [heap.dropped for heap in listed.heaps]) == (True, [0])
    assert open_store(store_url).objects() == before
    assert found(listed) == found(collect(store_url, old))
    assert Collection.model_validate_json(listed.model_dump_json()) == listed


def test_nothing_young_goes_nor_what_it_was_made_from(store_url: str) -> None:
    used, unused = make(store_url, "prompts", "used"), make(store_url, "prompts", "unused")
    old = moment(store_url)
    young = make(store_url, "dataset", "of a run that is not done", {"prompts": used})
    assert found(collect(store_url, old)) == {"artefact": {unused.key}}
    opens(young)


def test_a_report_that_is_old_enough_goes_with_what_only_it_was_made_from(store_url: str) -> None:
    prompts, student, report = lineage(store_url, "first")
    old = moment(store_url)
    later = make(store_url, "report", "second", {"prompts": prompts})
    assert collect(store_url, old, keep_reports=YEAR).heaps == ()
    assert found(collect(store_url, old, keep_reports=WEEK)) == {"artefact": {student.key, report.key}}
    opens(later)


def test_what_killed_and_overtaken_attempts_left_goes(store_url: str) -> None:
    store = open_store(store_url)
    _, student, report = lineage(store_url)
    overtaken = attempt(store, student.key)
    killed = attempt(store, "student/00000000000000aa")
    store.write(f"{student.key}/damaged-0000aaaa.json", b"{}")
    store.write(f"{student.key}/notes.txt", b"somebody's own")
    others = ["somebody/else/0000aaaa/file", "probe/of/a/comet", "partitions/disk.img", "checkpoints/border/map"]
    for key in others:
        store.write(key, b"not of this layout")
    old = moment(store_url)
    under_way = attempt(store, "student/00000000000000bb")
    assert found(collect(store_url, old)) == {
        "attempt": {overtaken, killed},
        "damaged record": {f"{student.key}/damaged-0000aaaa.json"},
    }
    opens(report)
    assert store.read(f"{student.key}/notes.txt")
    assert [key for key in others if store.size(key) is None] == []
    assert store.keys(under_way)
    assert collect(store_url, old).heaps == ()


def test_the_inputs_of_a_report_that_was_found_damaged_wait_for_it_to_be_made_anew(tmp_path: Path) -> None:
    store_url, store = str(tmp_path), open_store(str(tmp_path))
    _, student, report = lineage(store_url)
    old = moment(store_url)
    store.write(f"{report.key}/{next(iter(store.keys(report.key))).split('/')[2]}/data", b"rotten")
    assert find_artifact(store_url, "report", report.fingerprint) is None
    assert collect(store_url, old).heaps == ()
    opens(student)
    assert {"artefact", "damaged record"} <= found(collect(store_url, moment(store_url))).keys()


def test_a_record_that_cannot_be_read_holds_all_artefacts_back(tmp_path: Path) -> None:
    store_url, store = str(tmp_path), open_store(str(tmp_path))
    make(store_url, "prompts")
    store.write("report/00000000000000aa/record.json", b"{")
    attempt(store, "student/00000000000000bb")
    collection = collect(store_url, moment(store_url))
    assert found(collection) == {"attempt": {"student/00000000000000bb/0000aaaa"}}
    assert "report/00000000000000aa/record.json cannot be read" in collection.held_back[0]


def test_a_store_that_does_not_answer_ends_the_collection(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        garbage(str(tmp_path / "file" / "store"), moment(str(tmp_path)))
