"""Progress of long work: a line in the terminal and a Prefect progress artifact, both at most every few seconds."""

import logging
import time
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from tasks.core.secrets import guard_logs

guard_logs()  # here, because every process that does a run's work loads this module before it works

INTERVAL_SECONDS = 5.0


def stage_logger() -> Any:
    """Return the Prefect run's logger, or a plain one outside a run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("potstill")


class Progress:
    """Counts units of work and says how far it is, how fast, and how long it will take.

    Args:
        what: What is being done, e.g. ``"generations: rows"``.
        total: Units in all.
        done: Units that an earlier attempt finished; they count towards the total and not towards the speed.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self._what, self._total, self._done = what, total, done
        self.start = done
        """Units that an earlier attempt finished."""
        self._started = self._shown = time.monotonic()
        self._artifact: UUID | None = None
        self._logger = stage_logger()
        if done:
            self._logger.info("%s: %d of %d are there from an earlier run", what, done, total)

    def advance(self, units: int = 1, **figures: float | str) -> None:
        """Count finished units; ``figures`` are shown beside the counts as they are."""
        self._reach(self._done + units, time.monotonic() - self._started, figures)

    def move_to(self, done: int, seconds: float | None = None, **figures: float | str) -> None:
        """Set the count of finished units; ``seconds`` is how long they took where another process does the work and tells."""
        self._reach(done, time.monotonic() - self._started if seconds is None else seconds, figures)

    def _reach(self, done: int, seconds: float, figures: dict[str, Any]) -> None:
        self._done = done
        now = time.monotonic()
        if now - self._shown < INTERVAL_SECONDS and done < self._total:
            return
        self._shown = now
        rate = (done - self.start) / max(seconds, 1e-9)
        shown = {"per second": f"{rate:.1f}", **figures}
        if rate > 0 and done < self._total:
            shown["ETA"] = f"{(self._total - done) / rate:.0f} s"
        details = ", ".join(f"{name} {_short(value)}" for name, value in shown.items())
        self._logger.info("%s: %d of %d, %s", self._what, done, self._total, details)
        self._publish(details)

    def _publish(self, details: str) -> None:
        if TaskRunContext.get() is None:
            return
        percent, text = 100 * self._done / max(self._total, 1), f"{self._what}: {details}"
        if self._artifact is None:
            created = create_progress_artifact(percent, description=text)
            self._artifact = created if isinstance(created, UUID) else None
        else:
            update_progress_artifact(self._artifact, percent, description=text)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
