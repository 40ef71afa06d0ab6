"""Rows for ledgers, what a ledger's log says, and runs in processes of their own."""

import json
import os
import random
from collections.abc import Sequence
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Any

from tasks.core.ledger import Ledger, row_key, row_seed
from tasks.core.records import GENERATIONS, Generation
from tasks.core.storage import open_store

TEACHER = {"model": "0" * 64, "temperature": 0.7}


def open_ledger(store_url: str) -> Ledger:
    return Ledger(store_url, TEACHER, GENERATIONS)


def key_of(ledger: Ledger, number: int) -> str:
    return row_key(ledger.namespace, [1, 2, number], sample_index=0)


def answer(ledger: Ledger, number: int, text: str = "four", finish_reason: str = "stop") -> Generation:
    key = key_of(ledger, number)
    return Generation(
        key=key,
        teacher="a teacher",
        answer=text,
        reasoning=None,
        token_ids=[7, number],
        finish_reason=finish_reason,
        prompt_tokens=3,
        completion_tokens=2 + number % 7,
        seed=row_seed(key),
    )


def answers(ledger: Ledger, numbers: Sequence[int]) -> list[Generation]:
    return [answer(ledger, number) for number in numbers]


def found(ledger: Ledger, numbers: Sequence[int]) -> list[int]:
    """Return which rows the ledger has."""
    located = ledger.look_up([key_of(ledger, number) for number in numbers])
    return [number for number, there in zip(numbers, located.found, strict=True) if there]


def read_all(ledger: Ledger, keys: Sequence[str]) -> dict[int, Any]:
    """Return the rows of a look-up by their position in it."""
    return {
        int(position): row
        for positions, rows in ledger.read(ledger.look_up(keys))
        for position, row in zip(positions, rows.to_pylist(), strict=True)
    }


def objects(store_url: str, kind: str) -> list[str]:
    """Return the keys of a ledger's objects of one kind: rows, log, index, index/1, index/2 or void."""
    return [key for key in open_store(store_url).keys("ledger") if key.split("/", 2)[2].startswith(f"{kind}/")]


def logged_keys(store_url: str) -> list[str]:
    """Return the key of every row in the log, as often as it is there; the log has no gap."""
    store, keys = open_store(store_url), objects(store_url, "log")
    prefix = keys[0].partition("/log/")[0]
    assert keys == [f"{prefix}/log/{number // 64:06d}/{number % 64:02d}.json" for number in range(len(keys))]
    return [row for key in keys for row in json.loads(store.read(key))["keys"]]


def race(store_url: str, environment: dict[str, str], seed: int, rows: int, start: Barrier, report: Connection) -> None:
    """Commit all rows in small shards and an order of one's own; report how many were new."""
    os.environ.update(environment)
    numbers = list(range(rows))
    random.Random(seed).shuffle(numbers)
    ledger = open_ledger(store_url)
    ledger.look_up([key_of(ledger, number) for number in numbers])
    start.wait()
    report.send(sum(ledger.commit(answers(ledger, numbers[at : at + 5])) for at in range(0, rows, 5)))


def commit_until_killed(store_url: str, environment: dict[str, str], first: int, report: Connection) -> None:
    """Commit shards of three rows for ever; report each as soon as it is committed."""
    os.environ.update(environment)
    ledger = open_ledger(store_url)
    while True:
        ledger.commit(answers(ledger, range(first, first + 3)))
        report.send(first)
        first += 3
