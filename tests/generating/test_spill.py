"""Answers that the store does not take wait on this machine, whichever way the run ends, and are in the ledger after the next."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import DataError, StoreUnreachableError
from tasks.core.ledger import Ledger
from tasks.core.records import GENERATIONS, Generation, Table, with_logprobs
from tasks.core.storage import Store, open_store
from tasks.generating.shards import Answered, ShardWriter
from tasks.generating.spill import Spill
from tasks.teachers.exchange import Completion
from tests.core.ledgers import answer, answers, found, key_of, logged_keys, open_ledger, read_all


def spill_of(ledger: Ledger, store: Path) -> Spill:
    return Spill(open_store(str(store)), ledger.namespace, GENERATIONS)


def writer_to(ledger: Ledger, store: Path, shard_rows: int) -> ShardWriter:
    def read(shard: list[Answered]) -> list[Generation]:
        return [answer(ledger, answered.completion.prompt_tokens) for answered in shard]

    return ShardWriter(ledger, spill_of(ledger, store), read, shard_rows, shard_seconds=1000)


def answered(numbers: Sequence[int]) -> list[Answered]:
    """Return completions whose prompt tokens are their number."""
    return [Answered(Completion("", [], "stop", prompt_tokens=number), "", "GENERATION") for number in numbers]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a local store answer no ``create`` any more, as S3 after its time-outs; return the keys that were tried."""
    tried: list[str] = []

    def create(self: Store, key: str, data: bytes) -> bool:
        tried.append(key)
        raise StoreUnreachableError("the store does not answer")

    monkeypatch.setattr(Store, "create", create)
    return tried


def test_no_answer_is_lost_when_the_store_falls_silent(
    tmp_path: Path, silent: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, added = open_ledger(str(tmp_path)), 0
    where = r"does not answer; .* wait in .*/spill/[0-9a-f]{16} and"
    with pytest.raises(StoreUnreachableError, match=where) as raised, writer_to(ledger, tmp_path, shard_rows=4) as writer:
        for one in answered(range(18)):
            added += 1
            writer.add(one)
    monkeypatch.undo()

    assert writer.spilled == added, "the shards under way and the open one too"
    assert len(silent) == 1, "the time-outs are waited for once"
    assert "four" not in str(raised.value), "no answers in messages"
    assert f"{added} answers wait in" in caplog.text
    later = open_ledger(str(tmp_path))
    spill = spill_of(later, tmp_path)
    assert spill.commit_to(later) == added
    assert found(later, range(18)) == list(range(added))
    assert not list(spill.folder.iterdir())
    assert spill.commit_to(later) == 0


def test_answers_that_come_in_after_the_failure_are_kept_too(
    tmp_path: Path, silent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(str(tmp_path))
    with pytest.raises(StoreUnreachableError), writer_to(ledger, tmp_path, shard_rows=2) as writer:
        for one in answered(range(9)):
            with suppress(StoreUnreachableError):
                writer.add(one)
    monkeypatch.undo()

    assert writer.spilled == 9
    assert spill_of(ledger, tmp_path).commit_to(open_ledger(str(tmp_path))) == 9


def test_rows_that_another_run_committed_meanwhile_are_dropped(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path))
    assert spill_of(ledger, tmp_path).keep(answers(ledger, range(6)))
    open_ledger(str(tmp_path)).commit([answer(ledger, number, "of another run") for number in range(4)])

    assert spill_of(ledger, tmp_path).commit_to(open_ledger(str(tmp_path))) == 2
    assert logged_keys(str(tmp_path)) == [key_of(ledger, number) for number in range(6)]
    rows = read_all(ledger, [key_of(ledger, number) for number in range(6)])
    assert [rows[place]["answer"] for place in range(6)] == ["of another run"] * 4 + ["four"] * 2


def test_log_probabilities_wait_as_they_are(tmp_path: Path) -> None:
    table = with_logprobs(GENERATIONS, 2)
    ledger = Ledger(str(tmp_path), "a teacher", table)
    kept = {
        "token_logprobs": np.array([-1, -2], np.float16),
        "top_ids": np.array([[1, 2]] * 2, np.uint32),
        "top_logprobs": np.array([[-1, -3]] * 2, np.float16),
    }
    row: Any = answer(ledger, 0) | kept
    spill = Spill(open_store(str(tmp_path)), ledger.namespace, table)
    assert spill.keep([row])
    assert spill.commit_to(ledger) == 1
    ((_, rows),) = ledger.read(ledger.look_up([row["key"]]))
    assert rows["top_ids"].to_pylist() == [[[1, 2], [1, 2]]]
    assert rows["top_logprobs"].to_pylist() == [[[-1, -3], [-1, -3]]]


def test_rows_go_on_waiting_while_the_store_is_silent(tmp_path: Path, silent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(str(tmp_path))
    spill = spill_of(ledger, tmp_path)
    assert spill.keep(answers(ledger, range(3)))
    with pytest.raises(StoreUnreachableError):
        spill.commit_to(ledger)
    monkeypatch.undo()
    assert spill.commit_to(ledger) == 3


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty"])
def test_a_damaged_file_is_set_aside_and_holds_nothing_up(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    ledger = open_ledger(str(tmp_path))
    spill = spill_of(ledger, tmp_path)
    assert spill.keep(answers(ledger, range(3)))
    (file,) = spill.folder.iterdir()
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes({"torn": content[: len(content) // 2], "flipped": content, "empty": b""}[damage])
    assert spill.keep(answers(ledger, range(3, 5)))

    assert spill.commit_to(ledger) == 2
    assert f"{file} cannot be read; it is set aside" in caplog.text
    assert [path.name for path in spill.folder.iterdir()] == [f"{file.stem}.damaged"]
    assert spill.commit_to(ledger) == 0


def test_a_run_that_is_stopped_leaves_no_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(str(tmp_path))
    spill = spill_of(ledger, tmp_path)

    def stop(file: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", stop)
        spill.keep(answers(ledger, range(3)))
    assert not list(spill.folder.iterdir())


def test_on_a_full_disk_the_stores_own_error_stands(tmp_path: Path, silent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, table: Table, rows: list[Generation]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tasks.generating.spill.write_table", fail)
    ledger = open_ledger(str(tmp_path))
    with pytest.raises(StoreUnreachableError, match=r"^the store does not answer$"), writer_to(ledger, tmp_path, 2) as writer:
        for one in answered(range(2)):
            writer.add(one)
    assert writer.spilled == 0


def test_a_shard_that_does_not_fit_costs_no_other(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path))

    def read(shard: list[Answered]) -> list[Generation]:
        numbers = [answered.completion.prompt_tokens for answered in shard]
        return [answer(ledger, number, finish_reason="odd" if number in (2, 6) else "stop") for number in numbers]

    spill = spill_of(ledger, tmp_path)
    with pytest.raises(DataError, match="finish reason 'odd'"), ShardWriter(ledger, spill, read, 2, 1000) as writer:
        for one in answered(range(10)):
            with suppress(DataError):
                writer.add(one)
    assert found(open_ledger(str(tmp_path)), range(10)) == [0, 1, 4, 5, 8, 9]
