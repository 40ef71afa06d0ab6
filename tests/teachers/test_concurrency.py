"""The limit on requests under way goes up while the endpoint answers and down when it pushes back; replies tell how and when."""

from datetime import UTC, datetime

import pytest

from tasks.teachers.endpoint.concurrency import Concurrency
from tasks.teachers.endpoint.reply import retry_after_seconds


def round_trip(concurrency: Concurrency, at: float) -> None:
    """Let as many requests as allowed be sent at a time, and all be answered."""
    for _ in range(concurrency.limit):
        concurrency.succeeded(at)


def test_the_limit_doubles_every_round_trip_until_the_endpoint_pushes_back() -> None:
    concurrency, limits = Concurrency(64), []
    for at in range(6):
        limits.append(concurrency.limit)
        round_trip(concurrency, at)
    assert limits == [4, 8, 16, 32, 64, 64]


def test_after_a_halving_it_goes_up_by_one_a_round_trip() -> None:
    concurrency = Concurrency(64)
    for at in range(4):
        round_trip(concurrency, at)
    concurrency.pushed_back(sent=5, now=6)
    limits = []
    for at in range(7, 10):
        limits.append(concurrency.limit)
        round_trip(concurrency, at)
    assert limits[0] == 32 and limits[-1] in {33, 34}


def test_many_refusals_of_one_round_trip_halve_it_once() -> None:
    concurrency = Concurrency(64)
    for at in range(4):
        round_trip(concurrency, at)
    for _ in range(20):
        concurrency.pushed_back(sent=5, now=6)
    assert concurrency.limit == 32
    concurrency.succeeded(sent=5)
    assert concurrency.limit == 32, "an answer to what was sent before says nothing about the new limit"
    concurrency.pushed_back(sent=7, now=8)
    assert concurrency.limit == 16


def test_one_request_is_always_allowed() -> None:
    concurrency = Concurrency(8)
    for at in range(10):
        concurrency.pushed_back(sent=2 * at, now=2 * at + 1)
    assert concurrency.limit == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, datetime(2026, 11, 24, 12, tzinfo=UTC)) == seconds
