"""The garbage collection: what a store holds that nothing needs any more is listed, and dropped if asked to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from tasks.core.garbage.collection import Collection, Garbage
from tasks.core.garbage.layout import Limits
from tasks.core.progress import stage_logger
from tasks.core.section import Section
from tasks.core.storage import open_store


class GarbageSettings(Section):
    """What is dropped from a store. Rows of the ledger, rows on their way there and pending batches are paid work: they stay."""

    store: str = "artifacts"
    """The store: a local folder or s3://bucket/prefix."""

    dry_run: bool = True
    """Only list what would be dropped, and drop nothing."""

    min_age_days: float = Field(default=7, ge=0, le=36500)
    """Nothing younger is dropped, whatever it is. Make it longer than the longest upload and the longest pause within a run."""

    keep_reports_days: float | None = Field(default=None, gt=0, le=36500)
    """Reports that are older are dropped too, with all that only they were made from; empty: reports are kept for ever."""

    unfinished_days: float = Field(default=30, ge=0, le=36500)
    """How long unfinished work, such as the checkpoints of a stopped training, may rest before it is dropped."""


@task(name="garbage", persist_result=False, cache_policy=NO_CACHE)
def collect(settings: GarbageSettings, run_since: Callable[[datetime], str | None]) -> Collection:
    """List the garbage of a store, and drop it unless it is a dry run.

    An artefact stays if a report was made from it, directly or not, if anything younger than ``min_age_days`` was, or if it is
    that young itself.

    Args:
        settings: What is dropped.
        run_since: Tells which run is at work on the store, or was at or after a moment; None if there is none.

    Returns:
        What was found and how much of it was dropped; also a Prefect table and log lines.

    Raises:
        StoreUnreachableError: If the store does not answer.
    """
    limits = Limits(
        now=datetime.now(UTC),
        min_age=timedelta(days=settings.min_age_days),
        unfinished=timedelta(days=settings.unfinished_days),
        keep_reports=None if settings.keep_reports_days is None else timedelta(days=settings.keep_reports_days),
    )
    garbage = Garbage(open_store(settings.store), limits)
    found = garbage.keep(run_since) if settings.dry_run else garbage.drop(run_since)
    logger = stage_logger()
    for line in describe(found):
        logger.info("garbage: %s", line)
    create_table_artifact(_table(found), key="garbage", description=describe(found)[-1])
    return found


def describe(found: Collection) -> list[str]:
    """Return a collection in lines: each heap, what was held back, and at last the sum."""
    lines = [
        f"{heap.what}: {heap.pieces} ({heap.why}), {heap.objects} objects, {_size(heap.size_bytes)}; "
        f"{'none' if found.dry_run else heap.dropped} dropped; {', '.join(heap.names[:3])}{' ...' if heap.pieces > 3 else ''}"
        for heap in found.heaps
    ]
    total = f"{sum(heap.objects for heap in found.heaps)} objects with {_size(found.size_bytes)} are garbage"
    ending = (
        "a dry run: nothing was dropped" if found.dry_run else f"{sum(heap.dropped for heap in found.heaps)} pieces were dropped"
    )
    return [*lines, *found.held_back, f"of {found.objects} objects in {found.store}, {total}; {ending}"]


def _table(found: Collection) -> list[dict[str, str | int]]:
    return [
        {
            "what": heap.what,
            "why": heap.why,
            "pieces": heap.pieces,
            "dropped": heap.dropped,
            "objects": heap.objects,
            "size": _size(heap.size_bytes),
            "names": ", ".join(heap.names),
        }
        for heap in found.heaps
    ]


def _size(size_bytes: int) -> str:
    """Return a size in the largest binary unit that leaves one digit before the point."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes >= 1 << power:
            return f"{size_bytes / (1 << power):.1f} {unit}"
    return f"{size_bytes} bytes"
