"""Earlier reports of the same name in the same store, to see what a change of the recipe did."""

from typing import Any

from pydantic import ValidationError

from tasks.core.artifact import RECORD, Record
from tasks.core.storage import open_store
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import EarlierRun, TaskReport, Verdict

_MOST = 20
_MOST_READ = 200
"""Records that are read in search of those: a store may be shared by many recipes."""


def summarise_run(name: str, verdict: Verdict, retained: Interval, items: int, tasks: list[TaskReport]) -> dict[str, Any]:
    """Return what later reports say of this one: the summary of its record."""
    scores = {task.task: task.metrics[task.metric]["student"].value for task in tasks if task.metric in task.metrics}
    return {"name": name, "verdict": verdict, "retained": retained.model_dump(), "items": items, "student": scores}


def find_earlier(store_url: str, kind: str, version: int, name: str, fingerprint: str) -> list[EarlierRun]:
    """Return earlier reports, newest first, at most 20 of them; damaged ones and those of other releases are left out.

    Args:
        store_url: URL of the store.
        kind: Kind of the reports' artefacts.
        version: Version of the stage that made them.
        name: What the reports are called.
        fingerprint: The present report's, which is none of them.
    """
    store = open_store(store_url)
    records = [found for found in store.objects(kind) if found.key.endswith(f"/{RECORD}")]
    newest = sorted(records, key=lambda found: found.modified, reverse=True)[:_MOST_READ]
    runs: list[EarlierRun] = []
    for found in newest:
        try:
            record = Record.model_validate_json(store.read(found.key))
            if (record.version, record.summary.get("name")) != (version, name) or record.fingerprint == fingerprint:
                continue
            runs.append(_run(record))
        except (FileNotFoundError, ValidationError):  # removed since, or damaged
            continue
    return sorted(runs, key=lambda run: run.created_at, reverse=True)[:_MOST]


def _run(record: Record) -> EarlierRun:
    told = {field: value for field, value in record.summary.items() if field != "name"}
    return EarlierRun.model_validate(
        {**told, "fingerprint": record.fingerprint, "created_at": record.created_at.isoformat(timespec="seconds")}
    )
