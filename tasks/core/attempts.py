"""Attempts at one artefact, and what the interrupted ones cost: lost work and goodput.

An *attempt* is one process at work on an artefact, or on a part of it. It *finished*, or it was interrupted: *preempted* (told
to stop), *failed* (by an error) or *killed* (it never said how it ended). Work is *durable* once the next attempt finds it: rows
in a committed shard, optimiser steps in a sealed checkpoint.

*Lost seconds* are what an undisturbed run would not have taken: of an interrupted attempt the time after its last durable
moment, or all of it if it never got to work; and of an attempt that goes on with what an interrupted one had begun the time
until its first progress, for that start-up was made before. *Goodput* is the share of the attempts' time that was not lost. It
is the runtime goodput of "ML Productivity Goodput" (Singh and Herrington, Google Cloud, 2024; "ML Fleet Efficiency", MLSys
2026), with two differences: the first start-up counts as useful, and the time between attempts, when no machine is held, does
not count at all. The goodput of Pollux (OSDI 2021), which weighs throughput by statistical efficiency, is another figure.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

INTERRUPTIONS = "interruptions"
"""Name of the figures in a record's summary; records of earlier releases have none."""

_SILENCE = timedelta(minutes=2)
"""An attempt that still runs beside the present one was seen more recently than this."""


class Figures(NamedTuple):
    """How far an attempt is, earlier attempts' work included."""

    units: int
    """Rows or steps that are done."""
    durable: int
    """Those of them that a kill does not lose."""


class Part(BaseModel):
    """Which work on an artefact an attempt does; partitions are ranges of the same work."""

    model_config = ConfigDict(frozen=True)

    work: str = "all"
    lower: str = ""
    upper: str | None = None
    """First position that is no longer part of it; None: there is no bound."""

    def overlaps(self, other: "Part") -> bool:
        """Return whether the two have work in common."""
        begins_before_end = self.upper is None or other.lower < self.upper
        return self.work == other.work and begins_before_end and (other.upper is None or self.lower < other.upper)


class Attempt(BaseModel):
    """One attempt as it was last seen; times are UTC."""

    nonce: str
    unit: str
    """What is counted: ``rows`` or ``steps``."""
    part: Part = Part()
    started_at: datetime
    start_units: int | None = None
    """Units that were durable when it began; None: it did not get that far."""
    first_progress_at: datetime | None = None
    units: int = 0
    durable_at: datetime | None = None
    """When work of its own last became durable."""
    durable_units: int = 0
    last_seen_at: datetime
    ended: Literal["finished", "preempted", "failed"] | None = None
    """How it ended; None: it has not, or it was killed."""

    @property
    def seconds(self) -> float:
        """How long it is known to have run."""
        return (self.last_seen_at - self.started_at).total_seconds()

    def look(self, figures: Figures, now: datetime) -> None:
        """Take in how far it is now."""
        units = max(self.units, *figures)
        if self.first_progress_at is None and units > self.units:
            self.first_progress_at = now
        if figures.durable > self.durable_units:
            self.durable_at, self.durable_units = now, figures.durable
        self.units = units


class Interruptions(BaseModel):
    """What the attempts at an artefact, or at several, cost."""

    model_config = ConfigDict(extra="forbid")

    attempts: int
    killed: int
    preempted: int
    failed: int
    seconds: float
    """In all attempts together; partitions that ran at the same time are added up."""
    lost_seconds: float
    lost: dict[str, int]
    """Units that were done and not kept, by what they are: ``rows``, ``steps``."""
    goodput: float | None
    """1 - lost_seconds / seconds; None if no time was taken at all."""

    @property
    def interrupted(self) -> int:
        """Attempts that did not finish."""
        return self.killed + self.preempted + self.failed


def reckon(others: Iterable[Attempt], present: Attempt) -> Interruptions:
    """Return what all attempts at an artefact cost.

    The lost units are those that the attempts are known to have done: what a killed one did after it was last seen is missing.

    Args:
        others: All attempts but the present one.
        present: The one that has just made the artefact.
    """
    attempts = sorted([*others, present], key=lambda attempt: attempt.started_at)
    ends = {attempt.nonce: _end_of(attempt, present) for attempt in attempts}
    interrupted = [attempt for attempt in attempts if ends[attempt.nonce] in {"killed", "preempted", "failed"}]
    lost_seconds, lost_units = 0.0, Counter[str]()
    for attempt in interrupted:
        seconds, units = _lost_work(attempt, attempts)
        lost_seconds += seconds
        lost_units[attempt.unit] += units
    for attempt in attempts:
        if attempt.first_progress_at is not None and _goes_on(attempt, interrupted):
            lost_seconds += (attempt.first_progress_at - attempt.started_at).total_seconds()
    counts = Counter(ends.values())
    return _with_goodput(
        attempts=len(attempts),
        killed=counts["killed"],
        preempted=counts["preempted"],
        failed=counts["failed"],
        seconds=sum(attempt.seconds for attempt in attempts),
        lost_seconds=lost_seconds,
        lost={unit: units for unit, units in lost_units.items() if units},
    )


def add_up(each: Sequence[Interruptions]) -> Interruptions:
    """Return what the attempts at several artefacts cost together."""
    lost = Counter[str]()
    for one in each:
        lost.update(one.lost)
    return _with_goodput(
        attempts=sum(one.attempts for one in each),
        killed=sum(one.killed for one in each),
        preempted=sum(one.preempted for one in each),
        failed=sum(one.failed for one in each),
        seconds=sum(one.seconds for one in each),
        lost_seconds=sum(one.lost_seconds for one in each),
        lost=dict(lost),
    )


def _end_of(attempt: Attempt, present: Attempt) -> str:
    """Return how an attempt ended: one that says nothing was killed, unless it runs beside the present one."""
    if attempt is present:
        return "finished"
    if attempt.ended is not None:
        return attempt.ended
    runs = attempt.last_seen_at > present.started_at and present.last_seen_at - attempt.last_seen_at < _SILENCE
    return "running" if runs else "killed"


def _lost_work(attempt: Attempt, attempts: Sequence[Attempt]) -> tuple[float, int]:
    """Return the seconds and units of an interrupted attempt's work that were not kept.

    What was durable on its machine may not have been on the next one's: then that goes on from less, and more was lost.
    """
    if attempt.first_progress_at is None:
        return attempt.seconds, 0
    after = (each for each in attempts if each.part == attempt.part and each.started_at >= attempt.last_seen_at)
    resumed_from = next((each.start_units for each in after if each.start_units is not None), attempt.durable_units)
    also_gone = max(attempt.durable_units - resumed_from, 0)
    worked = (attempt.last_seen_at - attempt.first_progress_at).total_seconds()
    pace = worked / max(attempt.units - (attempt.start_units or 0), 1)
    since = max(attempt.first_progress_at, attempt.durable_at or attempt.first_progress_at)
    seconds = (attempt.last_seen_at - since).total_seconds() + also_gone * pace
    return seconds, attempt.units - attempt.durable_units + also_gone


def _goes_on(attempt: Attempt, interrupted: Sequence[Attempt]) -> bool:
    """Return whether an attempt takes up work that an interrupted one had begun."""
    return any(
        each.first_progress_at is not None and each.started_at < attempt.started_at and each.part.overlaps(attempt.part)
        for each in interrupted
    )


def _with_goodput(*, seconds: float, lost_seconds: float, lost: dict[str, int], **counts: int) -> Interruptions:
    return Interruptions(
        **counts,
        seconds=round(seconds, 3),
        lost_seconds=round(lost_seconds, 3),
        lost=lost,
        goodput=round(max(1 - lost_seconds / seconds, 0.0), 4) if seconds > 0 else None,
    )
