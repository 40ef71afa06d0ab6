"""The objects of a store, sorted by what they are, and the ages that decide; what has no known place is in no group."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.core.artifact import RECORD
from tasks.core.listing import StoredObject

LEDGER, MIRRORS, JOURNALS, RESULTS, PARTITIONS, PROBES = "ledger", "checkpoints", "attempts", "prefect", "partitions", "probe"
ARTIFACT_KEY = re.compile(r"[^/]+/[0-9a-f]{16}")
_RESERVED = {LEDGER, MIRRORS, JOURNALS, RESULTS, PARTITIONS, PROBES, "batches"}
_IN_ARTIFACT = re.compile(rf"({ARTIFACT_KEY.pattern})/(.+)")
_ATTEMPT_FILE = re.compile(r"[0-9a-f]{8}/.+")
_DAMAGED = re.compile(r"damaged-[0-9a-f]{8}\.json")
_PARTITION_FILE = re.compile(r"([^/]+)/(?:(?:plan|\d+)\.json|\d+-(?:band-\d+|pairs|rows)\.parquet)")
_PROBE = re.compile(r"[0-9a-f]{32}")
_SHARD = re.compile(rf"{LEDGER}/([0-9a-f]{{16}})/rows/[0-9a-f]{{16}}\.parquet")


def is_known_place(key: str) -> bool:
    """Return whether a key lies where a store of this layout has objects."""
    top, _, rest = key.partition("/")
    return bool(rest) and (top in _RESERVED or _IN_ARTIFACT.fullmatch(key) is not None)


@dataclass(frozen=True)
class Limits:
    """How old things must be."""

    now: datetime
    min_age: timedelta
    """Nothing younger is garbage."""
    unfinished: timedelta
    """How long work that did not end may rest before it is taken for given up."""
    keep_reports: timedelta | None = None
    """How long a report keeps what it was made from; None: for ever."""

    def is_old(self, *objects: StoredObject) -> bool:
        """Return whether all of them are old enough to be garbage."""
        return self._is_past(objects, self.min_age)

    def is_given_up(self, *objects: StoredObject) -> bool:
        """Return whether unfinished work has rested for long enough."""
        return self._is_past(objects, max(self.min_age, self.unfinished))

    def is_kept_report(self, record: StoredObject) -> bool:
        """Return whether a report still counts."""
        return self.keep_reports is None or not self._is_past([record], max(self.min_age, self.keep_reports))

    def _is_past(self, objects: Iterable[StoredObject], age: timedelta) -> bool:
        return all(self.now - stored.modified >= age for stored in objects)


@dataclass
class ArtifactFolder:
    """What lies in an artefact's folder."""

    record: StoredObject | None = None
    damaged: list[StoredObject] = field(default_factory=list)
    """Records that were moved aside."""
    files: list[StoredObject] = field(default_factory=list)
    """Files of all attempts."""

    @property
    def objects(self) -> list[StoredObject]:
        """All of it; the record is first, and without it the rest is no artefact."""
        return [*([] if self.record is None else [self.record]), *self.damaged, *self.files]


class Layout:
    """A listing of a store, sorted."""

    def __init__(self, objects: Iterable[StoredObject]) -> None:
        self.artifacts: dict[str, ArtifactFolder] = defaultdict(ArtifactFolder)
        """Artefact folders by key."""
        self.shards: dict[str, list[StoredObject]] = defaultdict(list)
        """The ledger's shards by the folder of their ledger."""
        self.mirrors: dict[str, list[StoredObject]] = defaultdict(list)
        """Copies of checkpoints by the key of the artefact that is being trained."""
        self.journals: dict[str, list[StoredObject]] = defaultdict(list)
        """How far attempts came, by the key of the artefact that they were to make."""
        self.partitions: dict[str, list[StoredObject]] = defaultdict(list)
        """Plans, reports and pairs of partitions by their folder."""
        self.results: list[StoredObject] = []
        self.probes: list[StoredObject] = []
        self.keys: set[str] = set()
        """The keys of all objects."""
        for stored in objects:
            self.keys.add(stored.key)
            self._place(stored)

    def is_complete(self, key: str) -> bool:
        """Return whether an artefact is there."""
        return key in self.artifacts and self.artifacts[key].record is not None

    def _place(self, stored: StoredObject) -> None:
        top, _, rest = stored.key.partition("/")
        if top == LEDGER and (shard := _SHARD.fullmatch(stored.key)):
            self.shards[f"{LEDGER}/{shard[1]}"].append(stored)
        elif top == MIRRORS and (mirror := _IN_ARTIFACT.fullmatch(rest)):
            self.mirrors[mirror[1]].append(stored)
        elif top == JOURNALS and (journal := _IN_ARTIFACT.fullmatch(rest)):
            self.journals[journal[1]].append(stored)
        elif top == PARTITIONS and (report := _PARTITION_FILE.fullmatch(rest)):
            self.partitions[f"{top}/{report[1]}"].append(stored)
        elif top == RESULTS:
            self.results.append(stored)
        elif top == PROBES and _PROBE.fullmatch(rest):
            self.probes.append(stored)
        elif top not in _RESERVED and (found := _IN_ARTIFACT.fullmatch(stored.key)):
            self._place_in_artifact(found[1], found[2], stored)

    def _place_in_artifact(self, key: str, name: str, stored: StoredObject) -> None:
        if name == RECORD:
            self.artifacts[key].record = stored
        elif _DAMAGED.fullmatch(name):
            self.artifacts[key].damaged.append(stored)
        elif _ATTEMPT_FILE.fullmatch(name):
            self.artifacts[key].files.append(stored)
