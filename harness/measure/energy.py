"""Energy where the machine tells it: RAPL for processors, NVML for GPUs."""

import os
from collections.abc import Callable
from pathlib import Path

from harness.measure.visible_gpus import LIST_VARIABLE, visible_devices

POWERCAP = Path("/sys/class/powercap")
JOULES_PER_MICROJOULE = 1e-6
JOULES_PER_MILLIJOULE = 1e-3


class EnergyMeter:
    """Joules between `start` and `stop`, over processor packages and GPUs.

    Args:
        powercap: Where the kernel shows RAPL's counters.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._counters = [*_rapl(powercap), *_nvml()]
        self._begun: list[float] = []

    @property
    def available(self) -> bool:
        """Whether anything can be read."""
        return bool(self._counters)

    def start(self) -> None:
        """Read every counter."""
        self._begun = [read() for read, _ in self._counters]

    def stop(self) -> float | None:
        """Joules since `start`; None where the machine tells nothing."""
        if not self._counters:
            return None
        ended = [read() for read, _ in self._counters]
        wraps = [wrap for _, wrap in self._counters]
        parts = zip(self._begun, ended, wraps, strict=True)
        # A counter that fell has wrapped once.
        return sum(end - begun + (wrap if end < begun else 0.0) for begun, end, wrap in parts)


Counter = tuple[Callable[[], float], float]
"""Reads joules; the value at which it wraps to zero."""


def _rapl(powercap: Path) -> list[Counter]:
    """The package domains; a domain with a second colon is a part of one."""
    found: list[Counter] = []
    for domain in sorted(powercap.glob("intel-rapl:*")):
        if domain.name.count(":") != 1:
            continue
        counter, limit = domain / "energy_uj", domain / "max_energy_range_uj"
        try:
            _microjoules(counter)
            wrap = _microjoules(limit)
        except (OSError, ValueError):
            continue
        found.append((lambda path=counter: _microjoules(path), wrap))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return found


def _microjoules(path: Path) -> float:
    return int(path.read_text()) * JOULES_PER_MICROJOULE


def _nvml() -> list[Counter]:
    """The GPUs that this process may use: NVML itself counts all of the host's."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        uuids = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        listed = os.environ.get(LIST_VARIABLE)
        handles = [handles[place] for place in visible_devices(listed, uuids)]
        for handle in handles:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return []

    def reader(handle: object) -> Callable[[], float]:
        return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * JOULES_PER_MILLIJOULE

    return [(reader(handle), 0.0) for handle in handles]


def _text(value: str | bytes) -> str:
    """Older versions of the package answer in bytes."""
    return value.decode() if isinstance(value, bytes) else value
