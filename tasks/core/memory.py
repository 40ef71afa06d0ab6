"""Peak memory of a piece of work: what it added to what the process already held."""

import ctypes
import gc
from pathlib import Path
from typing import Self

import psutil

from tasks.core.environment import has_cuda

_CLEAR_PEAK = "5"


class PeakMemory:
    """Measures the peak of memory taken inside a ``with`` block, in bytes.

    On CUDA it is the device's used memory, which includes child processes; elsewhere the resident memory of this process (from
    the kernel's high-water mark, Linux only) and of the children alive at the end. Memory that was taken before is not counted.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        gc.collect()
        if has_cuda():
            self._before = _cuda_used_bytes()
            return self
        ctypes.CDLL(None).malloc_trim(0)  # what an earlier model freed must not be handed to this one for nothing
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
        self._before = psutil.Process().memory_info().rss
        return self

    def __exit__(self, *_: object) -> None:
        self.measure()

    def measure(self) -> int:
        """Take a reading now and return the peak so far."""
        if has_cuda():
            self.peak_bytes = max(self.peak_bytes, _cuda_used_bytes() - self._before)
        else:
            children = sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))
            self.peak_bytes = max(self.peak_bytes, _high_water_bytes() + children - self._before)
        return self.peak_bytes


def _cuda_used_bytes() -> int:
    import torch

    free, total = torch.cuda.mem_get_info()
    return total - free


def _high_water_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024
