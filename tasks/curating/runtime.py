"""How a curation is run: no part of what it gives."""

from pydantic import Field

from tasks.core.recovery import RecoverySettings
from tasks.core.section import Section


class CurationRuntime(Section):
    """Where near duplicates are looked for. The rows of a dataset are the same however this is set."""

    partitions: int = Field(default=8, ge=1, le=1024)
    """Parts that the search for pairs of near duplicates is divided into, if `partition_deployment` is given."""

    partition_deployment: str | None = None
    """Deployment that searches each part as a flow run on a worker of its pool, `curation-partition/cpu` of those that come with
    the project; empty: this process searches all, one band of keys at a time."""

    recovery: RecoverySettings = RecoverySettings()
    """How often a part whose run ended badly is started again."""
