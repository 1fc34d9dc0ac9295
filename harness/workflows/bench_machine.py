"""The machine that a benchmark ran on and how busy it was: a rate without both says little."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from harness.measure import machine
from harness.measure.environment import git_state

IDLE_LOAD = 0.3
"""A load average up to this, in cores, is called idle."""


@dataclass(frozen=True)
class BenchMachine:
    """What decides a rate beside the code, as it was when the benchmark began.

    Attributes:
        cpu: Model with family, model and stepping.
        instruction_sets: Those that numerical kernels choose by.
        cores: Cores that this process may use.
        gpus: Names that the driver reports.
        load_average_1min: Cores that other work used in the last minute; None where the
            system does not tell.
        tensorflow: Version.
        git_commit: Of the harness; None where it runs from no checkout.
        git_dirty: Whether its code differs from that commit.
    """

    cpu: str
    instruction_sets: tuple[str, ...]
    cores: int
    gpus: tuple[str, ...]
    load_average_1min: float | None
    tensorflow: str
    git_commit: str | None
    git_dirty: bool | None

    @property
    def busy(self) -> bool:
        """Whether other work ran: rates are too low then, and ratios uncertain."""
        return self.load_average_1min is not None and self.load_average_1min > IDLE_LOAD

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {**asdict(self), "busy": self.busy}

    def text(self) -> str:
        """One line for a person."""
        devices = ", ".join((self.cpu, f"{self.cores} cores", *self.gpus))
        if self.load_average_1min is None:
            return f"machine: {devices}; load unknown"
        load = f"load {self.load_average_1min:.1f} at the beginning"
        warning = "; BUSY: repeat this on an idle machine" if self.busy else ""
        return f"machine: {devices}; {load}{warning}"


def this_machine() -> BenchMachine:
    """This machine now; to be called before a benchmark makes its own load."""
    commit, dirty = git_state()
    return BenchMachine(
        cpu=machine.cpu_model(),
        instruction_sets=machine.instruction_sets(),
        cores=machine.usable_cores(),
        gpus=tuple(gpu_name(row) for row in machine.gpus()),
        load_average_1min=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        tensorflow=metadata.version("tensorflow"),
        git_commit=commit,
        git_dirty=dirty,
    )


def gpu_name(row: Mapping[str, str]) -> str:
    """A GPU's name in a row of `nvidia-smi` or of the driver's own file."""
    return row.get("name") or row.get("Model") or "GPU"
