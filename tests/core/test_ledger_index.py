"""Look-ups agree with a dictionary however the log and its index are divided, and opening a long ledger lists little of it."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from tasks.core.errors import DamagedArtifactError
from tasks.core.ledger import index as ledger_index
from tasks.core.ledger.index import Rows, Search, read_segment
from tasks.core.ledger.keys import KEY, MissingKeys, find_keys, pack_keys
from tasks.core.ledger.series import Series
from tasks.core.storage import Store, open_store
from tests.core.ledgers import answers, found, key_of, logged_keys, objects, open_ledger, read_all
from tests.servers import S3Server


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 log entries and of 4 segments, so that 16 entries fill both levels."""
    monkeypatch.setattr(Series, "block", 4)
    monkeypatch.setattr(ledger_index, "ROW_GROUP_ROWS", 16)


@pytest.mark.parametrize("entries", [3, 4, 5, 15, 16, 17, 20, 64, 70])
def test_look_ups_agree_with_a_dictionary(tmp_path: Path, short_blocks: None, entries: int) -> None:
    chance, store = np.random.default_rng(entries), str(tmp_path)
    writer, expected = open_ledger(store), {}
    for _ in range(entries):
        numbers = chance.choice(4000, size=int(chance.integers(1, 60)), replace=False).tolist()
        new = [number for number in numbers if number not in expected]
        assert writer.commit(answers(writer, numbers)) == len(new)
        expected |= {number: (len(objects(store, "log")) - 1, numbers.index(number)) for number in new}
    wanted = chance.permutation(5000).tolist()
    for ledger in (writer, open_ledger(store)):
        located = ledger.look_up([key_of(ledger, number) for number in wanted])
        places = zip(located.entry.tolist(), located.row.tolist(), strict=True)
        assert {number: place for number, place in zip(wanted, places, strict=True) if place[0] >= 0} == expected
        assert located.completion_tokens[located.found].tolist() == [2 + number % 7 for number in wanted if number in expected]
    assert len(objects(store, "index/1")) == len(objects(store, "log")) // 4
    assert len(objects(store, "index/2")) == len(objects(store, "log")) // 16


def test_every_row_is_read_through_the_index(store_url: str, short_blocks: None) -> None:
    writer = open_ledger(store_url)
    for first in range(0, 66, 3):
        writer.commit(answers(writer, range(first, first + 3)))
    ledger = open_ledger(store_url)
    rows = answers(ledger, range(66))
    assert read_all(ledger, [row["key"] for row in rows]) == dict(enumerate(rows))
    assert len(objects(store_url, "index/2")) == 1


def test_two_writers_write_one_index(store_url: str, short_blocks: None) -> None:
    writers = [open_ledger(store_url), open_ledger(store_url)]
    for number in range(40):
        writers[number % 3 % 2].commit(answers(writers[0], [number]))
    assert len(objects(store_url, "index/1")) == 10
    assert len(objects(store_url, "index/2")) == 2
    store = open_store(store_url)
    for level, entries in (("index/1", 4), ("index/2", 16)):
        for number, key in enumerate(objects(store_url, level)):
            rows = read_segment(store.local_path(key))
            assert sorted(rows.entry.tolist()) == list(range(number * entries, (number + 1) * entries))
            assert (rows.keys[:-1] < rows.keys[1:]).all()
    for ledger in (*writers, open_ledger(store_url)):
        assert found(ledger, range(50)) == list(range(40))


@pytest.mark.parametrize("lost", [{"index/1": 1}, {"index/2": 1}, {"index/2": 2}, {"index/1": 3, "index/2": 2}])
def test_an_index_that_its_writer_did_not_finish_is_made_by_the_next_run(
    store_url: str, short_blocks: None, lost: dict[str, int]
) -> None:
    writer = open_ledger(store_url)
    for number in range(37):
        writer.commit(answers(writer, [number]))
    before = objects(store_url, "index")
    for kind, count in lost.items():
        for key in objects(store_url, kind)[-count:]:
            open_store(store_url).delete(key)
    assert found(open_ledger(store_url), range(50)) == list(range(37))
    assert objects(store_url, "index") == before


@pytest.mark.parametrize("kind", ["index/1", "index/2"])
@pytest.mark.parametrize("damage", [b"", b"PAR1 torn", None], ids=["empty", "torn", "flipped"])
def test_a_damaged_segment_is_an_error_once_and_costs_no_row(
    tmp_path: Path, short_blocks: None, kind: str, damage: bytes | None
) -> None:
    writer = open_ledger(str(tmp_path))
    for number in range(22):
        writer.commit(answers(writer, [number]))
    segment = tmp_path / objects(str(tmp_path), kind)[-1]
    content = bytearray(segment.read_bytes())
    content[len(content) // 20] ^= 0xFF  # in the keys
    segment.write_bytes(content if damage is None else damage)
    with pytest.raises(DamagedArtifactError, match="run again"):
        found(open_ledger(str(tmp_path)), range(30))
    assert found(open_ledger(str(tmp_path)), range(30)) == list(range(22))
    assert found(open_ledger(str(tmp_path)), range(30)) == list(range(22))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["cached copy", "store"])
def test_a_segment_that_is_damaged_on_s3_is_replaced(s3_environment: S3Server, short_blocks: None, where: str) -> None:
    url = f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}"
    writer = open_ledger(url)
    for number in range(18):
        writer.commit(answers(writer, [number]))
    assert found(open_ledger(url), range(30)) == list(range(18))
    store, key = open_store(url), objects(url, "index/2")[0]
    damaged, cached = bytes(store.size(key) or 0), store.local_path(key)
    if where == "store":
        cached.unlink()
        store.write(key, damaged)
    else:
        cached.write_bytes(damaged)
    with pytest.raises(DamagedArtifactError, match="run again"):
        found(open_ledger(url), range(30))
    assert found(open_ledger(url), range(30)) == list(range(18))


def test_opening_a_long_ledger_lists_and_reads_little_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = open_ledger(str(tmp_path))
    for number in range(300):
        writer.commit(answers(writer, [number]))
    assert len(logged_keys(str(tmp_path))) == 300
    listed: list[int] = []
    read: list[str] = []
    list_keys, read_object = Store.keys, Store.read
    monkeypatch.setattr(
        Store, "keys", lambda self, prefix: [listed.append(len(list_keys(self, prefix))), list_keys(self, prefix)][1]
    )
    monkeypatch.setattr(Store, "read", lambda self, key: [read.append(key), read_object(self, key)][1])
    assert found(open_ledger(str(tmp_path)), range(310)) == list(range(300))
    assert listed == [0, 4, 0, 300 % 64], "level 2, level 1, void entries, the log's last folder"
    assert len(read) == 300 % 64


def test_ranges_that_are_not_wanted_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.sort(np.frombuffer(np.random.default_rng(0).bytes(16 * 200_000), KEY))
    numbers = np.arange(len(keys), dtype=np.int32)
    rows = Rows(entry=numbers, row=numbers, completion_tokens=numbers, state=np.zeros(len(keys), np.int8), keys=keys)
    (tmp_path / "segment").write_bytes(rows.segment())
    read: list[int] = []
    of_table = Rows.of_table
    monkeypatch.setattr(Rows, "of_table", lambda table: [read.append(table.num_rows), of_table(table)][1])
    search = Search(keys[[150_000, 3]])
    search.visit_segment(tmp_path / "segment", voids=set())
    assert search.located.row.tolist() == [150_000, 3]
    assert read == [65_536, 65_536]


def test_keys_are_matched_by_all_their_bytes() -> None:
    # Zeros at either end, which a text would lose, and bytes that are negative if they are signed.
    keys = ["00" * 32, "00" * 15 + "01" + "00" * 16, "01" + "00" * 31, "7f" + "00" * 31, "80" + "00" * 31, "ff" * 32]
    packed = pack_keys(keys)
    assert find_keys(packed, packed).tolist() == list(range(6))
    for number in range(6):
        others = np.delete(packed, number)
        assert find_keys(others, packed)[number] == -1
    one = [np.array([number], np.int32) for number in range(6)]
    rows = Rows.merged(Rows(one[n], one[n], one[n], one[n].astype(np.int8), packed[[n]]) for n in (5, 0, 3))
    assert rows.entry.tolist() == [0, 3, 5]


def test_what_was_looked_up_is_known_and_struck_out_once() -> None:
    packed = pack_keys([f"{number:064x}"[::-1] for number in range(6)])
    missing = MissingKeys()
    missing.record(packed[:4], np.array([True, True, True, False]))
    assert missing.known(packed).tolist() == [True] * 4 + [False] * 2
    assert missing.strike(packed[[1, 3, 5]]).tolist() == [True, False, False]
    assert missing.among(packed).tolist() == [True, False, True, False, False, False]
    missing.record(packed[3:5], np.array([True, True]))
    assert missing.among(packed).tolist() == [True, False, True, True, True, False]
