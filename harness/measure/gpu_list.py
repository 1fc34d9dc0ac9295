"""The GPUs that a process may use, as the driver reports them, or why it does not.

Nothing here imports TensorFlow.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.measure import machine
from harness.measure.visible_gpus import LIST_VARIABLE, PART, listed_gpus, visible_devices

WORDS_KEPT = 300


@dataclass(frozen=True)
class SystemGpus:
    """The GPUs of this system that the process may use.

    Attributes:
        names: Their models; empty without a GPU, or where the environment hides all.
        driver: The driver's version, if known.
        error: What `nvidia-smi` said where it exists and fails; None otherwise.
    """

    names: tuple[str, ...] = ()
    driver: str | None = None
    error: str | None = None


def system_gpus(environ: Mapping[str, str] = os.environ) -> SystemGpus:
    """Ask the driver, and leave out what the environment hides.

    Raises:
        MachineError: `CUDA_VISIBLE_DEVICES` means a GPU and names none that is here.
    """
    rows = machine.gpus()
    return SystemGpus(
        names=listed_gpus(environ.get(LIST_VARIABLE), rows, machine.gpu_uuids()),
        driver=next((row["driver_version"] for row in rows if "driver_version" in row), None),
        error=driver_error(),
    )


def local_gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs of this machine that its environment leaves, as entries of CUDA_VISIBLE_DEVICES.

    Of a list of parts (MIG) a process uses the first alone, and jobs can share all of them out.
    """
    listed = environ.get(LIST_VARIABLE)
    count = len(machine.gpus())
    seen = visible_devices(listed, machine.gpu_uuids() or ("",) * count)
    if listed is None:
        return tuple(str(place) for place in seen)
    entries = [entry.strip() for entry in listed.split(",")]
    if seen and listed.startswith(PART):
        return tuple(entry for entry in entries if entry.startswith(PART))
    return tuple(entries[: len(seen)])


def gpu_memory_bytes(used: Sequence[str]) -> int | None:
    """Memory of the smallest of the GPUs that a process uses; None where the driver does not tell.

    Models are compared, because CUDA's order of the GPUs need not be the driver's. Where one
    is unknown, every GPU of the system counts.

    Args:
        used: Models of the GPUs in use, as CUDA names them: a part of one has ` MIG ` behind it.
    """
    rows, models = machine.gpus(), {name.partition(" MIG ")[0] for name in used}
    if models <= {row.get("name") for row in rows}:
        rows = tuple(row for row in rows if row.get("name") in models) or rows
    sizes = [re.match(r"(\d+) MiB", row.get("memory.total", "")) for row in rows]
    return min((int(size[1]) << 20 for size in sizes if size), default=None)


def driver_error() -> str | None:
    """What `nvidia-smi` says where it is there and fails."""
    if shutil.which("nvidia-smi") is None:
        return None
    try:
        done = machine.ask("nvidia-smi", "-L")
    except subprocess.TimeoutExpired:
        return f"no answer within {machine.QUERY_TIMEOUT_S} s"
    except OSError as error:
        return str(error)
    if not done.returncode:
        return None
    words = " ".join(f"{done.stdout} {done.stderr}".split())
    return words[:WORDS_KEPT] or f"exit code {done.returncode} without a word"
