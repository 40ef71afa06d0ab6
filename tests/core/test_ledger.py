"""A committed row is found by every later run, once, and by nobody else, with what is needed to decide whether it counts."""

import numpy as np
import pytest

from tasks.core.errors import DataError
from tasks.core.ledger import CUT, FAILED, FINISHED, Ledger, limited_key, row_key, row_seed
from tasks.core.records import GENERATIONS, with_logprobs
from tests.core.ledgers import TEACHER, answer, answers, found, key_of, logged_keys, objects, open_ledger, read_all


def test_committed_rows_are_found_by_another_run(store_url: str) -> None:
    ledger = open_ledger(store_url)
    rows = answers(ledger, range(5))
    assert ledger.commit(rows[:2]) == 2
    assert ledger.commit(rows[2:]) == 3
    assert read_all(open_ledger(store_url), [row["key"] for row in rows]) == dict(enumerate(rows))


def test_a_look_up_says_where_rows_are_in_the_order_of_the_keys(store_url: str) -> None:
    ledger = open_ledger(store_url)
    ledger.commit([answer(ledger, 0, finish_reason="length"), answer(ledger, 1)])
    ledger.commit([answer(ledger, 2, finish_reason="error")])
    located = open_ledger(store_url).look_up([key_of(ledger, number) for number in (2, 9, 1, 0, 1)])
    assert located.found.tolist() == [True, False, True, True, True]
    assert located.entry.tolist() == [1, -1, 0, 0, 0]
    assert located.row[located.found].tolist() == [0, 1, 0, 1]
    assert located.state[located.found].tolist() == [FAILED, FINISHED, CUT, FINISHED]
    assert located.completion_tokens[located.found].tolist() == [4, 3, 2, 3]


@pytest.mark.parametrize(
    ("finish_reason", "state"),
    [
        ("stop", FINISHED),
        ("length", CUT),
        ("repetition", CUT),
        ("content_filter", CUT),
        ("error", FAILED),
        ("abort", FAILED),
        ("refused", FAILED),
    ],
)
def test_every_finish_reason_has_a_state(tmp_path, finish_reason: str, state: int) -> None:
    ledger = open_ledger(str(tmp_path))
    ledger.commit([answer(ledger, 0, finish_reason=finish_reason)])
    assert ledger.look_up([key_of(ledger, 0)]).state.tolist() == [state]


def test_an_unknown_finish_reason_is_refused_before_anything_is_written(tmp_path) -> None:
    ledger = open_ledger(str(tmp_path))
    with pytest.raises(DataError, match="'eos', wanted one of stop"):
        ledger.commit([answer(ledger, 0, finish_reason="eos")])
    assert objects(str(tmp_path), "rows") == []


def test_rows_are_read_shard_by_shard_beside_their_positions(store_url: str) -> None:
    ledger = open_ledger(store_url)
    ledger.commit(answers(ledger, range(3)))
    ledger.commit(answers(ledger, range(3, 6)))
    located = ledger.look_up([key_of(ledger, number) for number in (5, 2, 9, 0, 3)])
    read = [(positions.tolist(), [row["token_ids"][1] for row in rows.to_pylist()]) for positions, rows in ledger.read(located)]
    assert read == [([3, 1], [0, 2]), ([4, 0], [3, 5])]
    wanted = np.array([True, False, False, False, True])
    assert [positions.tolist() for positions, _ in ledger.read(located.only(wanted))] == [[4, 0]]


def test_a_new_ledger_is_empty(store_url: str) -> None:
    ledger = open_ledger(store_url)
    assert found(ledger, range(3)) == []
    assert read_all(ledger, [key_of(ledger, 0)]) == {}
    assert read_all(ledger, []) == {}
    assert ledger.commit([]) == 0


def test_rows_of_another_teacher_or_other_sampling_are_not_found(store_url: str) -> None:
    ledger = open_ledger(store_url)
    ledger.commit(answers(ledger, [0]))
    for other in ({**TEACHER, "model": "1" * 64}, {**TEACHER, "temperature": 0.8}):
        assert not Ledger(store_url, other, GENERATIONS).look_up([key_of(ledger, 0)]).found.any()


def test_a_row_committed_twice_is_in_the_log_once_and_the_first(store_url: str) -> None:
    ledger = open_ledger(store_url)
    assert ledger.commit([answer(ledger, 0, "first"), answer(ledger, 1), answer(ledger, 0, "again")]) == 2
    assert ledger.commit([answer(ledger, 0, "second"), answer(ledger, 2)]) == 1
    assert open_ledger(store_url).commit([answer(ledger, 0, "third"), answer(ledger, 2)]) == 0
    assert sorted(logged_keys(store_url)) == sorted(key_of(ledger, number) for number in range(3))
    assert read_all(ledger, [key_of(ledger, 0)])[0]["answer"] == "first"


def test_what_another_run_commits_meanwhile_is_taken(store_url: str) -> None:
    ours, theirs = open_ledger(store_url), open_ledger(store_url)
    assert found(ours, range(6)) == found(theirs, range(6)) == []
    theirs.commit([answer(theirs, 1, "theirs"), answer(theirs, 3), answer(theirs, 99)])
    assert ours.taken == set()
    assert ours.commit([answer(ours, 0), answer(ours, 1, "ours")]) == 1
    assert ours.taken == {key_of(ours, 1), key_of(ours, 3)}, "of the rows that this run wants, and only of these"
    assert read_all(ours, [key_of(ours, 1)])[0]["answer"] == "theirs"
    assert found(ours, range(6)) == [0, 1, 3]
    assert ours.taken == set(), "the look-up says it all"


def test_log_probabilities_come_back(store_url: str) -> None:
    ledger = Ledger(store_url, TEACHER, with_logprobs(GENERATIONS, 2))
    row = answer(ledger, 0)
    row["token_logprobs"] = np.array([-0.5, -1.25], np.float16)
    row["top_ids"] = np.array([[7, 2], [3, 4_000_000_000]], np.uint32)
    row["top_logprobs"] = np.array([[-0.5, -2], [-0.25, -3]], np.float16)
    ledger.commit([row])
    [(_, rows)] = ledger.read(ledger.look_up([row["key"]]))
    assert rows.schema == with_logprobs(GENERATIONS, 2).schema
    [read] = rows.to_pylist()
    assert read["token_logprobs"] == [-0.5, -1.25]
    assert read["top_ids"] == [[7, 2], [3, 4_000_000_000]]
    assert read["top_logprobs"] == [[-0.5, -2], [-0.25, -3]]


def test_rows_of_another_schema_are_an_error_and_kept(tmp_path) -> None:
    ledger = open_ledger(str(tmp_path))
    ledger.commit(answers(ledger, [0]))
    other = Ledger(str(tmp_path), TEACHER, with_logprobs(GENERATIONS, 0))
    with pytest.raises(DataError, match=r"wanted .*token_logprobs"):
        read_all(other, [key_of(ledger, 0)])
    assert found(open_ledger(str(tmp_path)), [0]) == [0]


def test_a_key_depends_on_teacher_prompt_and_sample() -> None:
    messages = [{"role": "user", "content": "2 + 2"}]
    wanted = [("a", [1, 2], 0), ("b", [1, 2], 0), ("a", [2, 1], 0), ("a", [12], 0), ("a", [1, 2], 1), ("a", messages, 0)]
    assert len({row_key(*row) for row in wanted}) == 6


def test_a_cut_row_counts_only_under_the_same_limit() -> None:
    key = row_key("a", [1, 2], 0)
    assert len({key, limited_key(key, 128), limited_key(key, 256)}) == 3
    assert limited_key(key, 128) == limited_key(key, 128)


@pytest.mark.parametrize("keys", [["never committed"], ["0" * 63], ["x" * 64], ["0" * 64, "0" * 16]])
def test_a_key_that_is_no_sha_256_is_refused(tmp_path, keys: list[str]) -> None:
    with pytest.raises(ValueError, match="hex"):
        open_ledger(str(tmp_path)).look_up(keys)


def test_neighbouring_rows_have_different_seeds_in_range() -> None:
    seeds = [row_seed(row_key("teacher", [prompt], sample)) for prompt in range(100) for sample in range(10)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) > 2**30
