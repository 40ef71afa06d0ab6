"""Random stores with random references: after a collection every kept report opens, and nothing old and unneeded is left."""

import random
import uuid
from pathlib import Path

import pytest

from tasks.core.artifact import Artifact, find_artifact, read_record
from tasks.core.storage import open_store
from tests.core.garbage.stores import attempt, collect, make, moment, opens
from tests.servers import S3Server

KINDS = ("prompts", "model", "generations", "dataset", "student", "evaluation", "report")


class RandomStore:
    """A store that was filled at random, at first with what is old by now and then with what is young."""

    def __init__(self, store_url: str, seed: int, size: int) -> None:
        self.url, self.store, self._random = store_url, open_store(store_url), random.Random(seed)
        self.artifacts: list[Artifact] = []
        self.leftovers: list[str] = []
        """Folders of attempts that no record names."""
        self._fill(size)
        self.old = moment(store_url)
        self.old_artifacts, self.old_leftovers = list(self.artifacts), list(self.leftovers)
        self._fill(size // 4)

    def needed(self) -> set[str]:
        """Return what must stay: reports, what is young or has something young in its folder, and what these were made from."""
        young = {artifact.key for artifact in self.artifacts[len(self.old_artifacts) :]}
        young |= {folder.rpartition("/")[0] for folder in self.leftovers[len(self.old_leftovers) :]}
        known = {artifact.key: artifact for artifact in self.artifacts}
        waiting = [artifact for key, artifact in known.items() if artifact.kind == "report" or key in young]
        needed: set[str] = set()
        while waiting:
            artifact = waiting.pop()
            if artifact.key not in needed:
                needed.add(artifact.key)
                waiting += read_record(artifact).inputs.values()
        return needed

    def _fill(self, size: int) -> None:
        for _ in range(size):
            kind = self._random.choice(KINDS)
            usable = [artifact for artifact in self.artifacts if artifact.kind != "report"]
            chosen = self._random.sample(usable, k=min(len(usable), self._random.randint(0, 3)))
            inputs = {f"input_{number}": artifact for number, artifact in enumerate(chosen)}
            if self._random.random() < 0.75:
                self.artifacts.append(make(self.url, kind, uuid.uuid4().hex, inputs))
            if self.artifacts and self._random.random() < 0.25:
                folder = self._random.choice([self._random.choice(self.artifacts).key, f"{kind}/{uuid.uuid4().hex[:16]}"])
                self.leftovers.append(attempt(self.store, folder, uuid.uuid4().hex[:8]))


def check(store_url: str, seed: int, size: int) -> None:
    filled = RandomStore(store_url, seed, size)
    needed, young_folders = filled.needed(), set(filled.leftovers) - set(filled.old_leftovers)
    whole = {stored.key for stored in filled.store.objects()}
    collect(store_url, filled.old)
    for artifact in filled.artifacts:
        there = find_artifact(store_url, artifact.kind, artifact.fingerprint)
        assert (there == artifact) == (artifact.key in needed), artifact
        if there:
            opens(artifact)
    left = {stored.key for stored in filled.store.objects()}
    records = {key: read_record(artifact) for artifact in filled.artifacts if (key := artifact.key) in needed}
    named = {f"{key}/{entry.path}" for key, record in records.items() for entry in record.files}
    young = {key for key in whole if any(key.startswith(f"{folder}/") for folder in young_folders)}
    assert left == named | {f"{key}/record.json" for key in needed} | young
    assert collect(store_url, filled.old).heaps == ()


@pytest.mark.parametrize("seed", range(12))
def test_a_random_folder_keeps_what_is_needed_and_loses_the_rest(tmp_path: Path, seed: int) -> None:
    check(str(tmp_path), seed, size=24)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_random_prefix_on_s3_keeps_what_is_needed_and_loses_the_rest(s3_environment: S3Server, seed: int) -> None:
    check(f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}", seed, size=40)
