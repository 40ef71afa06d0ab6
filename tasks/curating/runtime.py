"""How a curation is run: no part of what it gives."""

from pydantic import Field

from tasks.core.recovery import RecoverySettings
from tasks.core.section import Section


class CurationRuntime(Section):
    """Where rows are filtered and near duplicates looked for. The rows of a dataset are the same however this is set."""

    partitions: int = Field(default=8, ge=1, le=1024)
    """Parts that the rows, and later the search for pairs of near duplicates among them, are divided into, if
    `partition_deployment` is given."""

    partition_deployment: str | None = None
    """Deployment that works on each part as a flow run on a worker of its pool, `curation-partition/cpu` of those that come with
    the project: it shows a part of the rows to the filters that look at rows one by one, or searches a part for near duplicates;
    empty: this process does all, a batch of rows and one band of keys at a time."""

    recovery: RecoverySettings = RecoverySettings()
    """How often a part whose run ended badly is started again."""
