"""The second run of a finished distillation, against the first, in one process and one run."""

import json
import tempfile
import time
from pathlib import Path

from prefect.testing.utilities import prefect_test_harness

from flows.distill import distill
from flows.recipe import load_recipe
from tests.recipes import tiny_recipe


def main() -> None:
    """Print the flow time of a run whose stages are all Cached."""
    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=180):
        config = load_recipe(tiny_recipe(Path(folder)))
        seconds: list[float] = []
        for _ in range(2):
            started = time.monotonic()
            distill(config)
            seconds.append(time.monotonic() - started)
    first, second = seconds
    row = {"name": "cached_rerun_seconds", "value": round(second, 3), "unit": "s", "reference": f"first run: {first:.1f} s"}
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
