"""The GPUs that a process may use, as the driver reports them, or why it does not.

Nothing here imports TensorFlow.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from harness.measure import machine
from harness.measure.visible_gpus import LIST_VARIABLE, listed_gpus

WORDS_KEPT = 300


@dataclass(frozen=True)
class SystemGpus:
    """The GPUs of this system that the process may use.

    Attributes:
        names: Their models; empty without a GPU, or where the environment hides all.
        driver: The driver's version, if known.
        memory_bytes: Of the smallest GPU of the system, if known.
        error: What `nvidia-smi` said where it exists and fails; None otherwise.
    """

    names: tuple[str, ...] = ()
    driver: str | None = None
    memory_bytes: int | None = None
    error: str | None = None


def system_gpus(environ: Mapping[str, str] = os.environ) -> SystemGpus:
    """Ask the driver, and leave out what the environment hides.

    Raises:
        MachineError: `CUDA_VISIBLE_DEVICES` means a GPU and names none that is here.
    """
    rows = machine.gpus()
    sizes = [re.match(r"(\d+) MiB", row.get("memory.total", "")) for row in rows]
    return SystemGpus(
        names=listed_gpus(environ.get(LIST_VARIABLE), rows, machine.gpu_uuids()),
        driver=next((row["driver_version"] for row in rows if "driver_version" in row), None),
        memory_bytes=min((int(size[1]) << 20 for size in sizes if size), default=None),
        error=driver_error(),
    )


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
