"""Energy that a piece of work took, where the machine has a meter that we may read.

GPUs tell theirs by NVML, of NVIDIA's data centre GPUs since Volta. Processors tell theirs by RAPL in Linux's powercap tree
(``Documentation/power/powercap``), which since CVE-2020-8694 only root may read unless the machine's owner says otherwise.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tasks.core.environment import has_cuda

_POWERCAP = Path("/sys/class/powercap")
_SAMPLE_SECONDS = 10.0  # counters of processors begin again at 0, the busiest after some minutes


class EnergyMeter:
    """Measures the energy of a ``with`` block, in joules; whatever else runs on the same devices counts too.

    On CUDA it is that of the GPUs alone, elsewhere that of all processors with their memory.

    Args:
        gpus: How many of the visible GPUs do the work, the first ones.
        powercap: Where the processors' counters are.
    """

    def __init__(self, gpus: int = 1, powercap: Path = _POWERCAP) -> None:
        self.joules: float | None = None
        """None where there is no meter, or none that may be read."""
        self._read = _gpu_reader(gpus) if has_cuda() else _processor_reader(powercap)
        self._done = threading.Event()

    def __enter__(self) -> Self:
        if self._read is not None:
            self._read()
            self.joules = 0.0
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self.joules is not None:
            self._sampler.join()

    def _sample(self) -> None:
        finished = False
        while not finished:
            finished = self._done.wait(_SAMPLE_SECONDS)
            self._add()

    def _add(self) -> None:
        used = None if self._read is None else self._read()
        self.joules = None if used is None or self.joules is None else self.joules + used


def _processor_reader(powercap: Path) -> Callable[[], float | None] | None:
    """Return what tells the joules since it was last asked, of processor packages and of memory that no package includes."""
    zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if _is_counted(zone)]
    last = {zone: _number(zone / "energy_uj") for zone in zones}
    if not zones or None in last.values():
        return None

    def read() -> float | None:
        total = 0
        for zone, before in last.items():
            now, span = _number(zone / "energy_uj"), _number(zone / "max_energy_range_uj")
            if now is None or before is None or span is None:
                return None
            total += now - before if now >= before else span - before + now
            last[zone] = now
        return total / 1e6

    return read


def _is_counted(zone: Path) -> bool:
    """Return whether a zone is a package or memory: cores are part of packages, and a platform's zone is of all of them."""
    name = _text(zone / "name") or ""
    return name.startswith("package") or name == "dram"


def _gpu_reader(gpus: int) -> Callable[[], float | None] | None:
    """Return what tells the joules since it was last asked, of the first GPUs that CUDA shows."""
    import torch
    from vllm.third_party import pynvml

    nvml: Any = pynvml  # NVIDIA's own binding, of which vLLM brings a copy along
    try:
        nvml.nvmlInit()
        # By UUID, because NVML counts all GPUs of the machine and CUDA those that are visible, in an order of its own.
        names = [f"GPU-{torch.cuda.get_device_properties(device).uuid}" for device in range(gpus)]
        handles = [nvml.nvmlDeviceGetHandleByUUID(name) for name in names]
        last = [nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles]
    except (nvml.NVMLError, RuntimeError, AssertionError):  # old, partitioned or virtual GPUs have no such counter
        return None

    def read() -> float | None:
        nonlocal last
        try:
            now = [nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles]
        except nvml.NVMLError:
            return None
        millijoules, last = sum(now) - sum(last), now
        return millijoules / 1e3

    return read


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text is not None and text.isdigit() else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None
