"""Peak memory of a piece of work: what it added to what the process already held."""

import ctypes
import gc
import os
import threading
from pathlib import Path
from typing import Self

import psutil

from tasks.core.environment import has_cuda

_SAMPLE_SECONDS = 0.02


class PeakMemory:
    """Measures the most memory that a ``with`` block held beyond what was held before, in bytes, by sampling.

    On CUDA it is the current device's used memory, which includes other processes on it. Elsewhere it is the anonymous memory of
    this process and its children (Linux): weights, caches and buffers. Pages of files, such as mapped weights and the code of
    libraries, are not counted: the kernel drops and re-reads them at will.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()

    def __enter__(self) -> Self:
        gc.collect()
        if not has_cuda():
            ctypes.CDLL(None).malloc_trim(0)  # what an earlier model freed must not be handed to this one for nothing
        self._before = _used_bytes()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, _used_bytes() - self._before)


def held_bytes() -> int:
    """Return the anonymous memory of this process: weights, gradients, buffers, and no pages of files (Linux)."""
    return _anonymous_bytes(os.getpid())


def _used_bytes() -> int:
    if has_cuda():
        import torch

        free, total = torch.cuda.mem_get_info()
        return total - free
    process = psutil.Process()
    return sum(_anonymous_bytes(member.pid) for member in (process, *process.children(recursive=True)))


def _anonymous_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:  # it ended since it was listed
        return 0
    kibibytes = next((line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")), "0")
    return int(kibibytes) * 1024
