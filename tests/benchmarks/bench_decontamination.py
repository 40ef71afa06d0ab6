"""Training rows of 130 words compared with 10,000 held-out texts of 50 words; one row in a hundred repeats one of them.

The reference looks every n-gram of a row up in a Python dictionary. Rates are per second of one core.
"""

import json
import time
from collections.abc import Callable

import numpy as np

from tasks.core.memory import PeakMemory
from tasks.filters.decontamination.index import HeldOut, HeldOutIndex

ROWS, REFERENCE_ROWS, BATCH_ROWS = 50_000, 2_000, 1_000
HELD_OUT, HELD_OUT_WORDS, ROW_WORDS = 10_000, 50, 130
REPEATING = 100
"""One of this many rows repeats a held-out text."""
NGRAM_WORDS = 8


def main() -> None:
    """Print rows a second, the repeated texts that were found, and the memory of the index."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(random.choice(letters, size)) for size in random.integers(2, 11, 30_000)], object)
    ranks = np.cumsum(1 / np.arange(1, len(words) + 1) ** 0.9)  # as natural words are spread, nearly

    def texts(count: int, length: int) -> list[str]:
        drawn = np.searchsorted(ranks, random.random((count, length)) * ranks[-1])
        return [" ".join(row) for row in words[drawn]]

    held_out = texts(HELD_OUT, HELD_OUT_WORDS)
    rows = texts(ROWS, ROW_WORDS)
    repeated = {row: int(random.integers(HELD_OUT)) for row in range(0, ROWS, REPEATING)}
    for row, item in repeated.items():
        rows[row] = f"{held_out[item]} {rows[row]}"
    with PeakMemory() as memory:
        index = HeldOutIndex([HeldOut("test", str(item), text) for item, text in enumerate(held_out)], NGRAM_WORDS, 0.05)
        ours, found = _rate(rows, lambda some: _ours(index, some))
    reference, expected = _rate(rows[:REFERENCE_ROWS], _plain_python(held_out))
    right = sum(repeated.get(row) == item for row, item in found)
    if found[: len(expected)] != expected:
        raise ValueError(f"the two ways disagree on the first {REFERENCE_ROWS} rows")
    recall, precision = right / len(repeated), right / len(found)
    note = f"a dictionary of n-grams in plain Python: {reference:.0f} rows/s; recall {recall:.4f}, precision {precision:.4f}"
    _show("decontamination_rows_per_second", ours, "rows/s", note)
    _show("decontamination_peak_bytes", memory.peak_bytes, "bytes", f"{HELD_OUT} held-out texts of {HELD_OUT_WORDS} words")


def _rate(rows: list[str], covering: Callable[[list[str]], list[tuple[int, int]]]) -> tuple[float, list[tuple[int, int]]]:
    begun, found = time.process_time(), []
    for first in range(0, len(rows), BATCH_ROWS):
        found += [(first + row, item) for row, item in covering(rows[first : first + BATCH_ROWS])]
    return len(rows) / (time.process_time() - begun), found


def _ours(index: HeldOutIndex, rows: list[str]) -> list[tuple[int, int]]:
    matches = index.match(rows, [""] * len(rows))
    return [(row, item) for row, item, coverage in zip(*(part.tolist() for part in matches), strict=True) if coverage > 0.5]


def _plain_python(held_out: list[str]) -> Callable[[list[str]], list[tuple[int, int]]]:
    where: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for item, text in enumerate(held_out):
        for place, gram in enumerate(_ngrams(text)):
            where.setdefault(gram, []).append((item, place))

    def covering(rows: list[str]) -> list[tuple[int, int]]:
        found = []
        for row, text in enumerate(rows):
            covered: dict[int, set[int]] = {}
            for gram in _ngrams(text):
                for item, place in where.get(gram, ()):
                    covered.setdefault(item, set()).update(range(place, place + NGRAM_WORDS))
            found += [(row, item) for item, places in sorted(covered.items()) if len(places) > 0.5 * HELD_OUT_WORDS]
        return found

    return covering


def _ngrams(text: str) -> list[tuple[str, ...]]:
    words = text.lower().split()
    return [tuple(words[first : first + NGRAM_WORDS]) for first in range(len(words) - NGRAM_WORDS + 1)]


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
