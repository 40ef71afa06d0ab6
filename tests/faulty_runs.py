"""Runs of the generations stage in processes of their own, whose store is in trouble."""

import multiprocessing
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tasks.core import s3
from tasks.core.artifact import Artifact
from tasks.core.errors import PotstillError
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
from tasks.model import prepare_endpoint
from tasks.prompts import PromptsSettings, prepare_prompts
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.endpoints import ScriptedEndpoint

SHORT_TIMEOUTS: dict[str, Any] = {"connect_timeout": 1, "read_timeout": 2, "retries": {"total_max_attempts": 1}}
FULL_FILE_BYTES = 64 << 10
_CONTEXT = multiprocessing.get_context("forkserver")


class Run:
    """The stage at work in a process of its own."""

    def __init__(
        self, settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact, file_bytes: int | None = None
    ) -> None:
        """Start it, in this process's environment and with short time-outs for S3.

        Args:
            settings: How the teacher answers.
            store: URL of the store.
            prompts: A ``prompts`` artefact.
            teacher: A ``model`` artefact.
            file_bytes: The largest file that it can write; None: any.
        """
        self._received, report = _CONTEXT.Pipe(duplex=False)
        work = (settings, store, prompts, teacher)
        self._process = _CONTEXT.Process(target=_answer, args=(work, dict(os.environ), file_bytes, report), daemon=True)
        self._process.start()
        report.close()

    def outcome(self, timeout_seconds: float = 120) -> Artifact | PotstillError:
        """Wait for its artefact, or for the error that it ended with."""
        assert self._received.poll(timeout_seconds), "the run does not end"
        outcome: Artifact | PotstillError = self._received.recv()
        self._process.join(timeout_seconds)
        return outcome

    @property
    def has_ended(self) -> bool:
        """Whether it has said how it ended."""
        return self._received.poll()


def _answer(
    work: tuple[GenerationsSettings, str, Artifact, Artifact],
    environment: dict[str, str],
    file_bytes: int | None,
    report: Connection,
) -> None:
    os.environ.update(environment)
    s3._S3_TIMEOUTS.update(SHORT_TIMEOUTS)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    settings, store, prompts, teacher = work
    try:
        report.send(generate.fn(settings=settings, store=store, prompts=prompts, teacher=teacher))
    except PotstillError as error:
        report.send(error)


def prompts_in(store: str, folder: Path, count: int) -> Artifact:
    """Return a prompts artefact, in a store of either kind, whose training prompts are ``number 0``, ``number 1`` and so on."""
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    train.write_text("".join(f'{{"prompt": "number {number}", "answer": "x"}}\n' for number in range(count)))
    test.write_text('{"prompt": "test", "answer": "x"}\n')
    sources: dict[str, Any] = {"train": (str(train),), "test": (str(test),)}
    options: dict[str, Any] = {"validation_fraction": 0, "chat": False, "reference_field": "answer"}
    return prepare_prompts.fn(settings=PromptsSettings.model_validate({**sources, **options}), store=store)


def scripted_teacher(store: str, endpoint: ScriptedEndpoint) -> Artifact:
    """Return a scripted endpoint as a teacher: it counts what it is asked."""
    return prepare_endpoint.fn(settings=EndpointSettings(url=endpoint.url, model="teacher-1"), store=store)


@dataclass
class SmallDisk:
    """A disk that some hundred kilobytes fill."""

    folder: Path
    file_bytes: int | None
    """The largest file that a run may write, where this machine lets us make no disk; None: a disk of its own."""

    def grow(self) -> None:
        """Make room."""
        if self.file_bytes is None:
            subprocess.run(["mount", "-o", "remount,size=64m", str(self.folder)], check=True)
        self.file_bytes = None


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Mount a small tmpfs; where that is not permitted, runs are to keep their files small instead."""
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=False, capture_output=True
        ).returncode
        == 0
    )
    try:
        yield SmallDisk(folder, None if mounted else FULL_FILE_BYTES)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
