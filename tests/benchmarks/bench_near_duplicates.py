"""Near duplicates among 10^5 and 10^6 rows of 130 words, a tenth of them planted, each size in a fresh process.

A planted row is another one with a fiftieth of the words of its prompt and of its answer replaced. The reference is the same
method in plain Python, on fewer rows. Rates are per second of one core; memory is anonymous memory beyond what was held before.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.core.memory import PeakMemory
from tasks.filters.near_duplicates.search import NearDuplicateSearch

SIZES = (100_000, 1_000_000)
REFERENCE_ROWS = 2_000
BATCH_ROWS = 2_000
PROMPT_WORDS, ANSWER_WORDS = 50, 80
PLANTED = 10
"""One of this many rows is planted."""
THRESHOLD = 0.7

Batch = tuple[list[str], list[str], np.ndarray]


def main() -> None:
    """Print rows a second, recall, precision and peak memory at each size."""
    if len(sys.argv) > 1:
        print(json.dumps(_search(int(sys.argv[1]))))
        return
    reference = f"the same method in plain Python: {_reference():.0f} rows/s"
    peaks = []
    for rows in SIZES:
        command = [sys.executable, __file__, str(rows)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks.append(found["peak_bytes"])
        words = f"{reference}; recall {found['recall']:.4f}, precision {found['precision']:.4f}"
        _show(f"near_duplicate_rows_per_second_{rows:.0e}", rows / found["seconds"], "rows/s", words)
        _show(f"near_duplicate_recall_{rows:.0e}", found["recall"], "share", "of planted pairs; wanted at least 0.99")
        _show(f"near_duplicate_precision_{rows:.0e}", found["precision"], "share", "of rejected rows; wanted at least 0.99")
        _show(f"near_duplicate_peak_bytes_{rows:.0e}", found["peak_bytes"], "bytes", f"{found['disk_bytes']:.0f} bytes on disk")
    growth = (peaks[1] - peaks[0]) / (SIZES[1] - SIZES[0])
    words = f"{growth:.0f} bytes a row beyond 10^6, as between 10^5 and 10^6; wanted less than 2^30"
    _show("near_duplicate_peak_bytes_1e+07_extrapolated", peaks[1] + growth * (10_000_000 - SIZES[1]), "bytes", words)


def _search(rows: int) -> dict[str, float]:
    seconds, sources = 0.0, []
    keys = np.random.default_rng(1).permutation(rows).astype(np.uint64)
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        with NearDuplicateSearch(Path(folder), THRESHOLD, max_template_share=0.05) as search:
            for number, (prompts, answers, source) in enumerate(_batches(rows)):
                begun, chunk = time.process_time(), keys[number * BATCH_ROWS :][:BATCH_ROWS]
                search.add(prompts, answers, chunk)
                seconds += time.process_time() - begun
                sources.append(source + number * BATCH_ROWS)
            begun = time.process_time()
            survivors = search.find(lambda chosen: np.arange(chosen.sum())).survivors
            seconds += time.process_time() - begun
        disk = sum(file.stat().st_size for file in Path(folder).iterdir())
    source = np.concatenate(sources)
    planted = np.flatnonzero(source != np.arange(rows))
    rejected = np.flatnonzero(survivors != np.arange(rows))
    return {
        "seconds": seconds,
        "recall": float((survivors[planted] == survivors[source[planted]]).mean()),
        "precision": float((source[rejected] == source[survivors[rejected]]).mean()),
        "peak_bytes": memory.peak_bytes,
        "disk_bytes": disk,
    }


def _batches(rows: int) -> Iterator[Batch]:
    """Yield prompts, answers, and for every row the row of its batch that it was made from: itself if it was not planted."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(random.choice(letters, size)) for size in random.integers(2, 11, 30_000)], object)
    ranks = np.cumsum(1 / np.arange(1, len(words) + 1) ** 0.9)  # as natural words are spread, nearly
    for _ in range(0, rows, BATCH_ROWS):
        drawn = np.searchsorted(ranks, random.random((BATCH_ROWS, PROMPT_WORDS + ANSWER_WORDS)) * ranks[-1])
        source = np.arange(BATCH_ROWS)
        for place in range(PLANTED, BATCH_ROWS, PLANTED):
            source[place] = source[place - int(random.integers(1, PLANTED))]
            drawn[place] = drawn[source[place]]
            for first, size in ((0, PROMPT_WORDS), (PROMPT_WORDS, ANSWER_WORDS)):
                changed = random.choice(size, max(size // 50, 1), replace=False)
                drawn[place, first + changed] = random.integers(0, len(words), len(changed))
        texts = words[drawn]
        yield [" ".join(row[:PROMPT_WORDS]) for row in texts], [" ".join(row[PROMPT_WORDS:]) for row in texts], source


def _reference() -> float:
    """Return the rows a second of MinHash with sets and dictionaries; its candidates are not even verified."""
    random = np.random.default_rng(2)
    permutations = random.integers(1, 1 << 31, (112, 2)).tolist()
    prompts, answers, _ = next(_batches(REFERENCE_ROWS))
    buckets: dict[tuple[int, ...], int] = {}
    begun = time.process_time()
    for row, text in enumerate(f"{prompt} {answer}" for prompt, answer in zip(prompts, answers, strict=True)):
        words = text.lower().split()
        grams = {" ".join(words[first : first + 3]) for first in range(len(words) - 2)}
        hashes = [int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=4).digest(), "big") for gram in grams]
        signature = [min((factor * value + shift) % 4_294_967_311 for value in hashes) for factor, shift in permutations]
        for band in range(14):
            buckets.setdefault((band, *signature[band * 8 : band * 8 + 8]), row)
    return REFERENCE_ROWS / (time.process_time() - begun)


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
