"""How often work that ended badly is started again, and after how long: two budgets, by what went wrong."""

from pydantic import Field

from tasks.core.errors import PotstillError, PreemptedError, TransientError
from tasks.core.section import Section


class RecoverySettings(Section):
    """What is done about work that ends badly. Wrong settings or data are never tried again, whatever is written here."""

    max_preemptions: int = Field(default=20, ge=0)
    """How often a stage may lose its machine or be told to stop and still be started again."""

    max_errors: int = Field(default=2, ge=0)
    """How often a stage may fail by an error that another try can mend: a dead engine, an endpoint that is down."""

    first_wait_seconds: float = Field(default=10, ge=0, le=3600)
    """Wait before a stage is started again; twice as long each further time."""

    longest_wait_seconds: float = Field(default=300, ge=0, le=86400)
    """Longest wait before a stage is started again."""

    max_store_outage_seconds: float = Field(default=6 * 3600, ge=0)
    """How long a run waits for a store that does not answer before it fails; everything finished is kept either way."""

    def wait_seconds(self, times: int) -> float:
        """Return how long to wait after something went wrong for the ``times``-th time."""
        return min(self.first_wait_seconds * 2.0 ** min(times - 1, 32), self.longest_wait_seconds)


class Budget:
    """What one piece of work may still spend on going wrong.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: RecoverySettings) -> None:
        self._settings = settings
        self._preemptions = self._errors = 0

    @property
    def spent(self) -> int:
        """How often it went wrong so far."""
        return self._preemptions + self._errors

    def wait_after(self, cause: type[PotstillError] | None) -> float | None:
        """Count an attempt that ended badly.

        Args:
            cause: What it ended by; None: an error that nobody foresaw, which is taken as one of the code.

        Returns:
            Seconds to wait before the next attempt, or None if there is to be none.
        """
        if cause is None or not issubclass(cause, TransientError):
            return None
        if issubclass(cause, PreemptedError):
            self._preemptions += 1
            return self._settings.wait_seconds(self._preemptions) if self._preemptions <= self._settings.max_preemptions else None
        self._errors += 1
        return self._settings.wait_seconds(self._errors) if self._errors <= self._settings.max_errors else None
