"""The generation flow in a process of its own, and the processes that it starts."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tasks.core.artifact import Artifact

ROOT = Path(__file__).parents[2]

_RUN = """
import json, sys
from flows.generation import generate_answers
from tasks.core.artifact import Artifact
from tests.teaching import settings
store, runtime, *artifacts = sys.argv[1:]
prompts, teacher = (Artifact.model_validate_json(text) for text in artifacts)
generate_answers(settings=settings(runtime=json.loads(runtime)), store=store, prompts=prompts, teacher=teacher)
"""


@contextmanager
def generation(
    store: Path, prompts: Artifact, teacher: Artifact, environment: Mapping[str, str], **runtime: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Run the flow until the block ends; ``runtime`` changes how the teacher is run."""
    arguments = [str(store), json.dumps(runtime), prompts.model_dump_json(), teacher.model_dump_json()]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(process: "subprocess.Popen[str]", timeout_seconds: float = 300) -> str:
    """Wait until a process has ended well, and return what it wrote."""
    output, _ = process.communicate(timeout=timeout_seconds)
    assert process.returncode == 0, output
    return output


def descendants(parent: int, command: str) -> list[psutil.Process]:
    """Return the processes below a process whose command line has a word in it."""
    return [child for child in psutil.Process(parent).children(recursive=True) if command in " ".join(_command(child))]


def committed_shards(store: Path) -> int:
    """Return how many shards the ledger has."""
    return len(list(store.glob("ledger/*/log/*/*.json")))


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]", timeout_seconds: float = 200) -> None:
    """Wait for something that must happen before a process ends."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []
