"""Damage, a full disk and a store in trouble: a clear error, no other row lost, and the next run goes on."""

import resource
from pathlib import Path

import pytest

from tasks.core.errors import DamagedArtifactError, SettingsError, StoreUnreachableError
from tasks.core.ledger import ledger as ledger_module
from tasks.core.ledger.series import Series
from tasks.core.s3 import S3Store
from tasks.core.storage import Store, open_store
from tests.core.ledgers import answer, answers, found, key_of, logged_keys, objects, open_ledger, read_all


def three_shards(store_url: str) -> list[str]:
    """Commit three shards of four rows; return their keys in the store in the log's order."""
    ledger, shards = open_ledger(store_url), []
    for first in (0, 4, 8):
        before = set(objects(store_url, "rows"))
        ledger.commit(answers(ledger, range(first, first + 4)))
        shards += sorted(set(objects(store_url, "rows")) - before)
    return shards


@pytest.mark.parametrize("damage", ["missing", "torn", "flipped"])
def test_a_damaged_shard_is_set_aside_and_made_anew(store_url: str, damage: str) -> None:
    shards, store = three_shards(store_url), open_store(store_url)
    content = bytearray(store.read(shards[1]))
    if damage == "missing":
        store.delete(shards[1])
    else:
        content[len(content) // 2] ^= 1
        store.write(shards[1], bytes(content[: len(content) // 2] if damage == "torn" else content))
    ledger = open_ledger(store_url)
    located = ledger.look_up([key_of(ledger, number) for number in range(12)])
    read: list[int] = []
    with pytest.raises(DamagedArtifactError, match=r"rows/.*the 4 rows .* run again") as raised:
        for positions, _ in ledger.read(located):
            read += positions.tolist()
    assert "four" not in str(raised.value), "no answers in messages"
    assert read == [0, 1, 2, 3, 8, 9, 10, 11]
    later = open_ledger(store_url)
    assert found(later, range(12)) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert later.commit([answer(later, number, "anew") for number in range(12)]) == 4
    texts = [row["answer"] for _, row in sorted(read_all(open_ledger(store_url), [key_of(later, n) for n in range(12)]).items())]
    assert texts == ["four"] * 4 + ["anew"] * 4 + ["four"] * 4


def test_all_damaged_shards_are_set_aside_at_once_and_the_others_are_read(tmp_path: Path) -> None:
    shards = three_shards(str(tmp_path))
    for shard in (shards[0], shards[2]):
        (tmp_path / shard).unlink()
    ledger, read = open_ledger(str(tmp_path)), []
    with pytest.raises(DamagedArtifactError, match=r"2 shards .* the 7 rows"):
        for positions, _ in ledger.read(ledger.look_up([key_of(ledger, number) for number in range(1, 12)])):
            read += positions.tolist()
    assert read == [3, 4, 5, 6]
    assert found(open_ledger(str(tmp_path)), range(12)) == [4, 5, 6, 7]


def test_rows_set_aside_stay_absent_in_the_index_and_their_successors_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Series, "block", 4)
    shards = three_shards(str(tmp_path))
    (tmp_path / shards[1]).unlink()
    ledger = open_ledger(str(tmp_path))
    with pytest.raises(DamagedArtifactError):
        read_all(ledger, [key_of(ledger, number) for number in range(12)])
    assert found(ledger, range(12)) == [0, 1, 2, 3, 8, 9, 10, 11]
    ledger.commit([answer(ledger, number, "anew") for number in range(4, 8)])  # fills the block that has the void entry
    for number in range(20, 40):
        ledger.commit(answers(ledger, [number]))
    assert len(objects(str(tmp_path), "index/2")) == 1
    for opened in (ledger, open_ledger(str(tmp_path))):
        rows = read_all(opened, [key_of(opened, number) for number in range(12)])
        assert [rows[place]["answer"] for place in range(12)] == ["four"] * 4 + ["anew"] * 4 + ["four"] * 4


@pytest.mark.parametrize("damage", ["", '{"writer": "tor', "[]", '{"writer":"a","shard":"b"}', "missing", "short key", "uneven"])
def test_a_damaged_log_entry_is_set_aside_and_its_rows_made_anew(tmp_path: Path, damage: str) -> None:
    three_shards(str(tmp_path))
    entry = tmp_path / objects(str(tmp_path), "log")[1]
    key = key_of(open_ledger(str(tmp_path)), 5)
    if damage == "missing":
        entry.unlink()
    elif damage == "short key":
        entry.write_text(entry.read_text().replace(key, key[:-1]))
    elif damage == "uneven":
        entry.write_text(entry.read_text().replace(f'"{key}",', ""))
    else:
        entry.write_text(damage)
    with pytest.raises(DamagedArtifactError, match=r"log/000000/01\.json .* set aside: run again"):
        found(open_ledger(str(tmp_path)), range(12))
    ledger = open_ledger(str(tmp_path))
    assert found(ledger, range(12)) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert ledger.commit(answers(ledger, range(12))) == 4
    assert found(open_ledger(str(tmp_path)), range(12)) == list(range(12))


def test_a_store_that_fails_while_rows_are_read_damages_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_shards(str(tmp_path))
    ledger = open_ledger(str(tmp_path))
    located = ledger.look_up([key_of(ledger, number) for number in range(12)])

    def fail(self: Store, key: str) -> bytes:
        raise StoreUnreachableError("does not answer")

    with monkeypatch.context() as patch, pytest.raises(StoreUnreachableError):
        patch.setattr(Store, "read", fail)
        list(ledger.read(located))
    assert objects(str(tmp_path), "void") == []
    assert len(read_all(ledger, [key_of(ledger, number) for number in range(12)])) == 12


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    three_shards(str(tmp_path))
    ledger = open_ledger(str(tmp_path))
    found(ledger, range(30))
    before = sorted(tmp_path.rglob("*"))
    rows = [answer(ledger, number, text=str(number ** (1 << 10))) for number in range(20, 30)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as a full disk would: the write ends half-way
    try:
        with pytest.raises(StoreUnreachableError, match="disk space"):
            ledger.commit(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [path for path in before if path.is_file()]
    assert ledger.commit(rows) == 10
    assert found(open_ledger(str(tmp_path)), range(30)) == [*range(12), *range(20, 30)]


def test_a_shard_that_cannot_be_uploaded_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(str(tmp_path))

    def fail(self: Store, source: Path, key: str) -> None:
        raise StoreUnreachableError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(StoreUnreachableError):
        patch.setattr(Store, "upload", fail)
        ledger.commit(answers(ledger, range(3)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert ledger.commit(answers(ledger, range(3))) == 3


def test_a_store_that_does_not_answer_is_not_taken_for_empty(unreachable_store_url: str) -> None:
    ledger = open_ledger(unreachable_store_url)
    with pytest.raises(StoreUnreachableError):
        found(ledger, [0])


def test_rows_are_not_committed_to_a_store_that_does_not_answer(unreachable_store_url: str) -> None:
    ledger = open_ledger(unreachable_store_url)
    with pytest.raises(StoreUnreachableError):
        ledger.commit(answers(ledger, [0]))


@pytest.mark.parametrize("lost_answer", [False, StoreUnreachableError("the connection was lost")])
def test_an_own_write_whose_answer_was_lost_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost_answer: bool | Exception
) -> None:
    ledger = open_ledger(str(tmp_path))
    rows = answers(ledger, range(3))
    create = Store.create

    def lose(self: Store, key: str, data: bytes) -> bool:
        create(self, key, data)
        if isinstance(lost_answer, Exception):
            raise lost_answer
        return lost_answer

    with monkeypatch.context() as patch:
        patch.setattr(Store, "create", lose)
        if isinstance(lost_answer, Exception):
            with pytest.raises(StoreUnreachableError):
                ledger.commit(rows)
        else:
            assert ledger.commit(rows) == 3
    assert ledger.commit(rows) == (3 if isinstance(lost_answer, Exception) else 0)
    assert logged_keys(str(tmp_path)) == [row["key"] for row in rows]
    assert ledger.taken == set()


def test_an_index_that_cannot_be_written_costs_no_row_and_repeats_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Series, "block", 4)
    three_shards(str(tmp_path))
    ledger, create = open_ledger(str(tmp_path)), Store.create

    def fail(self: Store, key: str, data: bytes) -> bool:
        if "/index/" in key:
            raise StoreUnreachableError("the disk is full")
        return create(self, key, data)

    with monkeypatch.context() as patch, pytest.raises(StoreUnreachableError):
        patch.setattr(Store, "create", fail)
        ledger.commit(answers(ledger, [20]))
    assert ledger.commit(answers(ledger, [20, 21])) == 1
    assert len(objects(str(tmp_path), "index/1")) == 1
    assert found(open_ledger(str(tmp_path)), range(30)) == [*range(12), 20, 21]


def test_a_number_that_is_taken_by_nobody_is_an_error_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_IDLE_SECONDS", 0)
    ledger = open_ledger(str(tmp_path))
    with monkeypatch.context() as patch, pytest.raises(StoreUnreachableError, match=r"entry 0 .* is taken, and has none"):
        patch.setattr(Store, "create", lambda self, key, data: False)
        ledger.commit(answers(ledger, [0]))
    assert ledger.commit(answers(ledger, [0])) == 1


@pytest.mark.slow
def test_an_s3_server_that_overwrites_is_refused_before_anything_is_committed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{request.getfixturevalue('s3_environment').bucket}/overwriting"

    def overwrite(self: S3Store, key: str, data: bytes) -> bool:
        self.write(key, data)
        return True

    ledger = open_ledger(url)
    with monkeypatch.context() as patch, pytest.raises(SettingsError, match="ignores If-None-Match"):
        patch.setattr(S3Store, "create", overwrite)
        ledger.commit(answers(ledger, [0]))
    assert open_store(url).keys("ledger") == open_store(url).keys("probe") == []
    tried: list[S3Store] = []

    def note(self: S3Store) -> None:
        tried.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "require_create_only", note)
        for number in range(3):
            ledger.commit(answers(ledger, [number]))
    assert len(tried) == 1, "tried out once a ledger, not once a commit"
