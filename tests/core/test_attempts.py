"""What interrupted attempts cost: the lost work is what the next attempt did not find, the goodput is the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.core.attempts import Attempt, Figures, Interruptions, Part, add_up, reckon

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
LOWER, UPPER = Part(upper="8"), Part(lower="8")


def at(second: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=second)


def attempt(start: float, end: float, ended: Any = None, part: Part | None = None) -> Attempt:
    """Return an attempt that did not get to work."""
    return Attempt(
        nonce=f"{start}-{part}",
        unit="steps",
        part=part or Part(),
        started_at=at(start),
        last_seen_at=at(end),
        ended=ended,
    )


def working(
    start: float,
    end: float,
    ended: Any = None,
    *,
    first: float,
    units: tuple[int, int, int],
    durable: float | None = None,
    part: Part | None = None,
) -> Attempt:
    """Return an attempt that got to work: first progress, units when it began, durable ones and all; when they became durable."""
    began, kept, done = units
    moments = {"first_progress_at": at(first), "durable_at": None if durable is None else at(durable)}
    counts = {"start_units": began, "durable_units": kept, "units": done}
    return attempt(start, end, ended, part).model_copy(update={**moments, **counts})


def test_a_run_that_nothing_disturbed_lost_nothing() -> None:
    found = reckon([], working(0, 100, first=20, units=(0, 50, 50), durable=90))

    assert found == Interruptions(attempts=1, killed=0, preempted=0, failed=0, seconds=100, lost_seconds=0, lost={}, goodput=1.0)


def test_a_kill_costs_the_work_since_the_last_durable_moment_and_a_second_start() -> None:
    killed = working(0, 100, first=10, units=(0, 40, 55), durable=70)
    found = reckon([killed], working(200, 300, first=215, units=(40, 100, 100), durable=290))

    assert (found.attempts, found.killed, found.interrupted) == (2, 1, 1)
    assert found.lost == {"steps": 15}
    assert found.lost_seconds == 30 + 15
    assert found.seconds == 200, "the time between the two does not count"
    assert found.goodput == pytest.approx(1 - 45 / 200)


def test_a_kill_before_anything_was_durable_costs_all_work_and_one_of_two_starts() -> None:
    killed = working(0, 100, first=10, units=(0, 0, 30))
    found = reckon([killed], working(100, 200, first=110, units=(0, 50, 50)))

    assert (found.lost, found.lost_seconds) == ({"steps": 30}, 90 + 10)


def test_a_kill_while_it_starts_costs_that_start_alone() -> None:
    found = reckon([attempt(0, 8)], working(10, 110, first=20, units=(0, 50, 50)))

    assert (found.killed, found.lost, found.lost_seconds) == (1, {}, 8)


def test_ends_are_told_apart() -> None:
    others = [attempt(0, 1, "failed"), attempt(2, 3, "preempted"), attempt(4, 5), attempt(6, 7, "finished")]
    found = reckon(others, working(10, 20, first=11, units=(0, 9, 9)))

    assert (found.attempts, found.failed, found.preempted, found.killed) == (5, 1, 1, 1)


def test_what_was_durable_on_a_lost_machine_only_is_lost_too() -> None:
    """It had sealed 40 steps and the store had a copy of 30: the next machine does ten more again, at the pace of the first."""
    lost = working(0, 100, first=0, units=(0, 40, 50), durable=80)
    found = reckon([lost], working(200, 300, first=200, units=(30, 100, 100)))

    assert found.lost == {"steps": 20}
    assert found.lost_seconds == 20 + 10 * 2


def test_an_attempt_that_never_began_says_nothing_of_what_was_found() -> None:
    first = working(0, 100, first=0, units=(0, 40, 50), durable=80)
    found = reckon([first, attempt(100, 104)], working(110, 200, first=115, units=(40, 100, 100)))

    assert found.lost == {"steps": 10}
    assert found.lost_seconds == 20 + 4 + 5


def test_a_run_beside_the_present_one_is_no_interruption_until_it_has_been_silent_for_long() -> None:
    beside = working(0, 500, first=0, units=(0, 40, 50), durable=400)
    soon = reckon([beside], working(450, 510, first=451, units=(40, 50, 50)))
    late = reckon([beside], working(450, 900, first=451, units=(40, 50, 50)))

    assert (soon.attempts, soon.killed, soon.lost_seconds) == (2, 0, 0)
    assert (late.attempts, late.killed, late.lost) == (2, 1, {"steps": 10})


def test_a_partition_that_was_killed_is_nothing_to_the_others() -> None:
    killed = working(0, 50, first=20, units=(0, 10, 14), durable=45, part=LOWER)
    other = working(60, 160, "finished", first=80, units=(0, 99, 99), durable=150, part=UPPER)
    again = working(60, 160, "finished", first=70, units=(10, 80, 80), durable=150, part=LOWER)
    joining = working(170, 180, first=171, units=(179, 179, 179), part=Part(work="joining"))
    found = reckon([killed, other, again], joining)

    assert (found.attempts, found.killed, found.lost) == (4, 1, {"steps": 4})
    assert found.lost_seconds == 5 + 10, "the second start of the lower half, and not the first of the upper one"
    assert found.seconds == 50 + 100 + 100 + 10


def test_partitions_that_were_cut_anew_go_on_with_what_the_old_ones_had_begun() -> None:
    killed = working(0, 50, first=20, units=(0, 10, 14), durable=45)
    lower = working(60, 160, "finished", first=70, units=(4, 50, 50), part=LOWER)
    upper = working(60, 160, "finished", first=80, units=(6, 50, 50), part=UPPER)
    found = reckon([killed, lower, upper], working(170, 180, first=171, units=(100, 100, 100), part=Part(work="joining")))

    assert found.lost == {"steps": 4}, "what a part found says nothing about the whole"
    assert found.lost_seconds == 5 + 10 + 20


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Part(), Part(lower="4", upper="5"), True),
        (LOWER, UPPER, False),
        (Part(upper="9"), UPPER, True),
        (Part(lower="2", upper="4"), Part(lower="4", upper="6"), False),
        (Part(), Part(work="joining"), False),
    ],
)
def test_parts_overlap_where_they_share_work(one: Part, other: Part, overlap: bool) -> None:
    assert one.overlaps(other) == other.overlaps(one) == overlap


def test_the_first_progress_is_the_first_unit_beyond_those_that_were_there() -> None:
    seen = attempt(0, 0).model_copy(update={"start_units": 5, "units": 5, "durable_units": 5})
    seen.look(Figures(5, 5), at(1))
    assert (seen.first_progress_at, seen.durable_at) == (None, None)
    seen.look(Figures(7, 5), at(2))
    assert (seen.first_progress_at, seen.durable_at) == (at(2), None)
    seen.look(Figures(7, 7), at(3))
    assert (seen.first_progress_at, seen.durable_at, seen.durable_units) == (at(2), at(3), 7)
    seen.look(Figures(6, 6), at(4))
    assert (seen.units, seen.durable_units, seen.durable_at) == (7, 7, at(3)), "it never goes back"


def test_several_artefacts_are_added_up() -> None:
    one = Interruptions(attempts=2, killed=1, preempted=0, failed=0, seconds=30, lost_seconds=3, lost={"rows": 14}, goodput=0.9)
    other = Interruptions(
        attempts=3, killed=0, preempted=1, failed=1, seconds=10, lost_seconds=7, lost={"rows": 1, "steps": 6}, goodput=0.3
    )

    assert add_up([one, other]) == Interruptions(
        attempts=5, killed=1, preempted=1, failed=1, seconds=40, lost_seconds=10, lost={"rows": 15, "steps": 6}, goodput=0.75
    )
