"""The machine that a benchmark ran on, and what else ran on it: a rate without both says little."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import psutil

from harness.measure import machine
from harness.measure.environment import git_state

IDLE_CORES = 0.1
"""Other work on up to this many cores is no reason to measure again."""

BUSY_KINDS = ("user", "nice", "system", "irq", "softirq", "steal")
"""What a core did for somebody; `steal` is another guest of the same host."""


@dataclass(frozen=True)
class BenchMachine:
    """What decides a rate beside the code.

    Attributes:
        cpu: Model with family, model and stepping.
        instruction_sets: Those that numerical kernels choose by.
        cores: Cores that this process may use.
        gpus: Names that the driver reports.
        other_work_cores: Mean number of those cores that other processes used while the
            benchmark ran.
        tensorflow: Version.
        git_commit: Of the harness; None where it runs from no checkout.
        git_dirty: Whether its code differs from that commit.
    """

    cpu: str
    instruction_sets: tuple[str, ...]
    cores: int
    gpus: tuple[str, ...]
    other_work_cores: float
    tensorflow: str
    git_commit: str | None
    git_dirty: bool | None

    @property
    def busy(self) -> bool:
        """Whether other work ran: rates are too low then, and ratios uncertain."""
        return self.other_work_cores > IDLE_CORES

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {**asdict(self), "busy": self.busy}

    def text(self) -> str:
        """One line for a person."""
        devices = ", ".join((self.cpu, f"{self.cores} cores", *self.gpus))
        other = f"other work used {self.other_work_cores:.2f} cores meanwhile"
        warning = ": BUSY, repeat this on an idle machine" if self.busy else ""
        return f"machine: {devices}; {other}{warning}"


@dataclass(frozen=True)
class Usage:
    """Seconds so far: of the clock, of work on this process's cores, and of its own part."""

    clock_s: float
    busy_s: float
    own_s: float

    def other_cores_until(self, later: "Usage") -> float:
        """Mean number of cores that others used from here to `later`."""
        other_s = (later.busy_s - self.busy_s) - (later.own_s - self.own_s)
        return max(0.0, other_s / max(later.clock_s - self.clock_s, 1e-9))


def usage() -> Usage:
    """Now; its own part holds child processes that have ended."""
    cores = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        cores = [cores[i] for i in sorted(os.sched_getaffinity(0)) if i < len(cores)]
    own = os.times()
    return Usage(
        clock_s=time.monotonic(),
        busy_s=sum(getattr(core, kind, 0.0) for core in cores for kind in BUSY_KINDS),
        own_s=own.user + own.system + own.children_user + own.children_system,
    )


class MachineWatch:
    """Begins to watch the machine when it is made.

    Args:
        read: Tells the usage.
    """

    def __init__(self, read: Callable[[], Usage] = usage) -> None:
        self._read = read
        self._begun = read()

    def machine(self) -> BenchMachine:
        """This machine, and what others used of it since."""
        code = git_state()
        return BenchMachine(
            cpu=machine.cpu_model(),
            instruction_sets=machine.instruction_sets(),
            cores=machine.usable_cores(),
            gpus=tuple(gpu_name(row) for row in machine.gpus()),
            other_work_cores=self._begun.other_cores_until(self._read()),
            tensorflow=metadata.version("tensorflow"),
            git_commit=code.commit,
            git_dirty=code.dirty,
        )


def gpu_name(row: Mapping[str, str]) -> str:
    """A GPU's name in a row of `nvidia-smi` or of the driver's own file."""
    return row.get("name") or row.get("Model") or "GPU"
