"""Look-ups in the row ledger at a million and ten million keys, each in a fresh process, against a set of all keys.

The ledger's index is written segment by segment, as 40,960 commits of 256 rows would leave it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.core.ledger import Ledger
from tasks.core.ledger.index import Rows
from tasks.core.ledger.keys import KEY
from tasks.core.ledger.series import Series
from tasks.core.records import GENERATIONS
from tasks.core.storage import open_store

SHARD_ROWS = 256
ENTRIES = Series.block * Series.block
SEGMENT_ROWS = ENTRIES * SHARD_ROWS
WANTED = 1_000_000
_HEX = 64


def main() -> None:
    """Print rows looked up a second and the memory that it takes."""
    if len(sys.argv) > 1:
        print(json.dumps({"look_up": _look_up, "set": _read_all_into_a_set}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        stores = {segments: _build(f"{folder}/{segments}", segments) for segments in (1, 10)}
        reference = _measured("set", stores[1])
        rate = reference["rows"] / reference["seconds"]
        words = f"a Python set of all {SEGMENT_ROWS} keys: {rate:.0f} rows/s, {reference['mib']:.0f} MiB"
        for segments, store in stores.items():
            ours = _measured("look_up", store)
            if ours["found"] != ours["rows"] // 2:
                raise ValueError(f"{ours['found']} of {ours['rows']} rows were found, wanted half of them")
            size = f"{segments}e6_keys"
            _show(f"ledger_lookup_rows_per_second_{size}", ours["rows"] / ours["seconds"], "rows/s", words)
            _show(f"ledger_lookup_memory_{size}", ours["mib"], "MiB", words)


def _build(url: str, segments: int) -> tuple[str, Path]:
    """Write a ledger of level-2 segments, and the keys of a look-up of which it has every other one."""
    random, store, ledger = np.random.default_rng(0), open_store(url), Ledger(url, "bench", GENERATIONS)
    series = Series(store, f"ledger/{ledger.namespace[:16]}/index/2", "parquet")
    present: list[np.ndarray] = []
    for number in range(segments):
        digests = np.frombuffer(random.bytes(_HEX // 2 * SEGMENT_ROWS), np.uint8).reshape(SEGMENT_ROWS, _HEX // 2)
        present.append(digests[: WANTED // 2 // segments])
        rows = np.arange(SEGMENT_ROWS)
        segment = Rows(
            entry=(number * ENTRIES + rows // SHARD_ROWS).astype(np.int32),
            row=(rows % SHARD_ROWS).astype(np.int32),
            completion_tokens=random.integers(1, 512, SEGMENT_ROWS, dtype=np.int32),
            state=np.zeros(SEGMENT_ROWS, np.int8),
            keys=np.ascontiguousarray(digests[:, : KEY.itemsize]).view(KEY).reshape(SEGMENT_ROWS),
        )
        store.create(series.key(number), Rows.merged([segment]).segment())
    absent = np.frombuffer(random.bytes(_HEX // 2 * (WANTED // 2)), np.uint8).reshape(-1, _HEX // 2)
    wanted = random.permutation(np.concatenate([*present, absent]))
    keys = Path(f"{url}.keys")
    keys.write_text(wanted.tobytes().hex())
    return url, keys


def _look_up(url: str, keys: Path) -> dict[str, float]:
    wanted = _keys(keys)
    before, started = _memory("VmRSS"), time.perf_counter()
    located = Ledger(url, "bench", GENERATIONS).look_up(wanted)
    seconds = time.perf_counter() - started
    found = int(located.found.sum())
    return {"rows": len(wanted), "found": found, "seconds": seconds, "mib": (_memory("VmHWM") - before) / 1024}


def _read_all_into_a_set(url: str, keys: Path) -> dict[str, float]:
    wanted = [bytes.fromhex(key)[: KEY.itemsize] for key in _keys(keys)]
    store = open_store(url)
    before, started = _memory("VmRSS"), time.perf_counter()
    there: set[bytes] = set()
    for key in store.keys("ledger"):
        there.update(pq.read_table(store.local_path(key), columns=["key"])["key"].to_pylist())
    found = sum(key in there for key in wanted)
    seconds = time.perf_counter() - started
    return {"rows": len(wanted), "found": found, "seconds": seconds, "mib": (_memory("VmHWM") - before) / 1024}


def _keys(path: Path) -> list[str]:
    text = path.read_text()
    return [text[at : at + _HEX] for at in range(0, len(text), _HEX)]


def _memory(name: str) -> int:
    """Return a figure of this process's memory in KiB; VmHWM is the most there was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _measured(what: str, store: tuple[str, Path]) -> dict[str, float]:
    command = [sys.executable, __file__, what, store[0], str(store[1])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
