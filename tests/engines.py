"""A run whose engine has a process of its own, as on CUDA, and the means to kill either of them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tasks.core.artifact import Artifact

RUN = """
import logging, sys
from pathlib import Path
from tasks.core.artifact import Artifact
from tests.teaching import answer
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
prompts, teacher = (Artifact.model_validate_json(text) for text in sys.argv[2:])
if __name__ == "__main__":
    made = answer(Path(sys.argv[1]), prompts, teacher)
    print("finished", made.counts, flush=True)
"""


@contextmanager
def answering(store: Path, prompts: Artifact, teacher: Artifact) -> Iterator["subprocess.Popen[str]"]:
    """Run the generations stage in a process, its engine in another; both are gone when the block ends."""
    script = store.parent / "run.py"
    script.write_text(RUN, encoding="utf-8")
    root = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, str(script), str(store), prompts.model_dump_json(), teacher.model_dump_json()],
        cwd=root,
        env={**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    family: list[psutil.Process] = []
    try:
        yield process
    finally:
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
        process.wait()
        for member in family:
            if member.is_running():
                member.kill()


def engine_processes(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return the engine's processes, the engine core first."""
    family = psutil.Process(process.pid).children(recursive=True)
    return sorted((member for member in family if "VLLM" in _name(member)), key=lambda member: "EngineCore" not in _name(member))


def wait_for_rows(store: Path, process: "subprocess.Popen[str]", shards: int, timeout_seconds: float = 240) -> None:
    """Wait until the ledger has so many shards."""
    deadline = time.monotonic() + timeout_seconds
    while len(list(store.glob("ledger/*/log/*/*.json"))) < shards:
        assert process.poll() is None, f"it ended with {process.returncode} before it had answered"
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.02)


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.name()} {' '.join(process.cmdline())}"
    except psutil.Error:
        return ""
