"""Waiting for what other processes do."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import psutil

Found = TypeVar("Found")


def until(found: Callable[[], Found | None], what: str, seconds: float = 120) -> Found:
    """Wait until something is there, and return it.

    The longer a look takes, the rarer it is, since it is work for whoever is asked; but never rarer than every 2 s.
    """
    deadline = time.monotonic() + seconds
    while (before := time.monotonic()) < deadline:
        thing = found()
        if thing:
            return thing
        time.sleep(min(max(0.01, 5 * (time.monotonic() - before)), 2))
    raise AssertionError(f"{what} took more than {seconds} s")


def are_gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether all of these processes have ended."""
    return all(map(_is_gone, processes))


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:  # it ended between two looks
        return True
