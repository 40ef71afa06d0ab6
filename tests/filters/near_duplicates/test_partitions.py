"""The all-pairs step in partitions: two workers find what one process finds."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tasks.core.storage import open_store
from tasks.filters.near_duplicates.candidates import pairs_here
from tasks.filters.near_duplicates.partitions import PartitionedPairs, pair_partition

FOLDER = "partitions/test"


def work(url: str, partition: int) -> None:
    pair_partition(open_store(url), FOLDER, partition)


def canonical(batches: Sequence[np.ndarray]) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pairs in batches for pair in pairs.tolist()}


def test_two_workers_find_the_pairs_that_one_process_finds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = 5000
    bands = random.integers(0, 3000, (14, rows)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # buckets of 1 to 8 rows
    bands[3] = 7  # and one of all
    keys = random.permutation(rows).astype(np.uint64)
    url = str(tmp_path / "store")

    def on_two_workers(partitions: Sequence[int]) -> None:
        with ProcessPoolExecutor(2, get_context("spawn")) as workers:
            list(workers.map(work, [url] * len(partitions), partitions))

    apart = list(PartitionedPairs(open_store(url), FOLDER, 3, on_two_workers)(bands, keys))

    assert len(apart) == 3
    assert canonical(apart) == canonical(list(pairs_here(bands, keys)))
