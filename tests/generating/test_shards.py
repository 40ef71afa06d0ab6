"""Answers are committed in shards, by number or by time and whatever ends a run, and a store that fails is heard of."""

import time
from pathlib import Path
from threading import Event

import pytest

from tasks.core.errors import DataError, StoreUnreachableError
from tasks.core.ledger import row_key
from tasks.core.records import GENERATIONS
from tasks.core.storage import open_store
from tasks.generating.shards import Answered, ShardWriter
from tasks.generating.spill import Spill
from tasks.teachers.exchange import Completion
from tests.generating.answers import open_ledger, reader

FOREVER = 3600.0


def answered(number: int, text: str = "yes", finish_reason: str = "stop") -> Answered:
    key = row_key("namespace", [number], 0)
    completion = Completion(key, [7], finish_reason, text=text, prompt_tokens=1, completion_tokens=1)
    return Answered(completion, key, "MATH")


def writer_to(folder: Path, shard_rows: int, shard_seconds: float = FOREVER) -> ShardWriter:
    ledger = open_ledger(folder)
    return ShardWriter(
        ledger, Spill(open_store(str(folder)), ledger.namespace, GENERATIONS), reader().rows, shard_rows, shard_seconds
    )


def there(folder: Path, count: int) -> int:
    """Return how many of the first rows are in the ledger, as another run sees it."""
    return int(open_ledger(folder).look_up([answered(number).row_key for number in range(count)]).found.sum())


def shards(folder: Path) -> int:
    return len(list(folder.glob("ledger/*/log/*/*.json")))


def wait_for_rows(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while there(folder, count) < count:
        assert time.monotonic() < deadline, "the shard is not committed"
        time.sleep(0.01)


def test_a_shard_is_committed_once_it_is_full(tmp_path: Path) -> None:
    with writer_to(tmp_path, 3) as writer:
        for number in range(7):
            writer.add(answered(number))
        wait_for_rows(tmp_path, 6)
        assert there(tmp_path, 7) == 6, "the seventh waits for two more"

    assert there(tmp_path, 7) == writer.committed == 7
    assert shards(tmp_path) == 3


def test_a_shard_is_committed_in_time_though_it_is_not_full(tmp_path: Path) -> None:
    with writer_to(tmp_path, 1000, 0.05) as writer:
        writer.add(answered(0))
        time.sleep(0.06)
        writer.add(answered(1))
        wait_for_rows(tmp_path, 2)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_what_is_waiting_is_committed_whatever_ends_the_run(tmp_path: Path, stop: type[BaseException]) -> None:
    with pytest.raises(stop), writer_to(tmp_path, 1000) as writer:
        writer.add(answered(0))
        raise stop

    assert there(tmp_path, 1) == 1


def test_flushing_waits_until_everything_is_committed(tmp_path: Path) -> None:
    with writer_to(tmp_path, 1000) as writer:
        writer.add(answered(0))
        writer.flush()
        assert there(tmp_path, 1) == writer.committed == 1


def test_a_row_that_the_ledger_has_is_not_committed_twice(tmp_path: Path) -> None:
    first, second = writer_to(tmp_path, 2), writer_to(tmp_path, 2)
    for run in (first, second):
        with run:
            run.add(answered(0))
            run.add(answered(1))

    assert (first.committed, second.committed) == (2, 0)
    assert shards(tmp_path) == 1


def test_a_store_that_does_not_answer_ends_the_run_soon(tmp_path: Path) -> None:
    writer, added = writer_to(tmp_path / "store", 2), 0
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(StoreUnreachableError, match="does not answer"), writer:
        for number in range(1000):
            writer.add(answered(number))
            added += 1
            time.sleep(0.001)

    assert added < 1000, "no more answers are asked for that cannot be kept"


def test_a_bad_row_ends_the_run(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="finish reason 'tired'"),
        writer_to(tmp_path, 1) as w,
    ):
        w.add(answered(0, finish_reason="tired"))


def test_a_run_that_is_stopped_while_the_store_hangs_leaves_its_answers_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.generating.shards._HASTE_SECONDS", 0.2)
    hanging, writer = Event(), writer_to(tmp_path, 2)
    monkeypatch.setattr(writer._ledger, "commit", lambda rows: hanging.wait(60))
    with pytest.raises(KeyboardInterrupt), writer:
        for number in range(5):
            writer.add(answered(number))
        raise KeyboardInterrupt
    hanging.set()
    later = open_ledger(tmp_path)
    Spill(open_store(str(tmp_path)), later.namespace, GENERATIONS).commit_to(later)

    assert writer.spilled == 5
    assert there(tmp_path, 5) == 5
