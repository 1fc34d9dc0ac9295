"""What the machine is: processor, memory, system and accelerators, as plain data.

Nothing here imports TensorFlow. A value that the system does not tell is None.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from harness.measure.cgroups import cgroup_cores, cgroup_memory_bytes

KERNEL_INSTRUCTION_SETS = (
    "sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "asimd",
    "asimdhp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
"""Instruction sets by which numerical kernels are chosen; they decide bits."""

GPU_FIELDS = (
    "name", "driver_version", "memory.total", "pci.bus_id", "ecc.mode.current", "power.limit",
    "clocks.max.sm", "clocks.max.mem", "persistence_mode", "mig.mode.current",
)  # fmt: skip
QUERY_TIMEOUT_S = 20
KILL_TIMEOUT_S = 1.0
_SILENT: set[str] = set()
"""Programs that did not answer: a driver that hangs is not waited for again and again."""

CORES_VARIABLE = "HARNESS_CORES"
"""Cores that a process may use at most, where neither affinity nor control group limits it."""


def read_text(path: str | Path) -> str | None:
    """The stripped text of a small system file; None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def ask(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a short system query to its end.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it does not answer, or the same program did not before.
    """
    program = shutil.which(command[0]) or command[0]
    if program in _SILENT:
        raise subprocess.TimeoutExpired(command, QUERY_TIMEOUT_S)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        output, errors = process.communicate(timeout=QUERY_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _SILENT.add(program)
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # what a driver holds does not end either
            process.communicate(timeout=KILL_TIMEOUT_S)
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def query(*command: str) -> str | None:
    """Standard output of a short system query; None where it fails."""
    try:
        done = ask(*command)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def cpu_fields(cpuinfo: str) -> dict[str, str]:
    """The first processor's fields in the text of `/proc/cpuinfo`."""
    first = cpuinfo.split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def cpu_model() -> str:
    """Processor model with family, model and stepping, which cloud names leave out."""
    fields = cpu_fields(read_text("/proc/cpuinfo") or "")
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [fields.get(key) for key in ("cpu family", "model", "stepping")]
    return f"{name} ({'/'.join(n for n in numbers if n)})" if all(numbers) else name


def instruction_sets() -> tuple[str, ...]:
    """Those of `KERNEL_INSTRUCTION_SETS` that the processor has."""
    fields = cpu_fields(read_text("/proc/cpuinfo") or "")
    present = set((fields.get("flags") or fields.get("Features") or "").split())
    return tuple(name for name in KERNEL_INSTRUCTION_SETS if name in present)


def scheduled_cores() -> int:
    """Cores that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_cores(
    scheduled: int | None = None,
    quota: float | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Cores as granted, at least one: they decide threads and parallel calls.

    More threads than a control group's quota are not slower on average: all of them
    stand still for the rest of each period.

    Args:
        scheduled: Cores by affinity; None asks the system.
        quota: Cores by control group; None asks the system.
        environ: `HARNESS_CORES` in it is a further limit, for workers that share a quota.
    """
    granted = [float(scheduled or scheduled_cores())]
    quota = cgroup_cores() if quota is None else quota
    granted += [quota] if quota is not None else []
    told = environ.get(CORES_VARIABLE, "")
    granted += [float(told)] if told.isdigit() and int(told) else []
    return max(1, int(min(granted)))


def cpu() -> dict[str, Any]:
    """Processor, cores, caches, clock and the limits set on this process."""
    fields = cpu_fields(read_text("/proc/cpuinfo") or "")
    frequency = "/sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "model": cpu_model(),
        "vendor": fields.get("vendor_id"),
        "microcode": fields.get("microcode"),
        "flags": sorted((fields.get("flags") or fields.get("Features") or "").split()),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(logical=True),
        "usable_cores": usable_cores(),
        "cgroup_cores": cgroup_cores(),
        "governor": read_text(f"{frequency}/scaling_governor"),
        "max_khz": read_text(f"{frequency}/cpuinfo_max_freq"),
        "boost": read_text("/sys/devices/system/cpu/cpufreq/boost"),
        "smt": read_text("/sys/devices/system/cpu/smt/active"),
        "numa_nodes": read_text("/sys/devices/system/node/online"),
        "caches": _caches(),
        "virtual": "hypervisor" in (fields.get("flags") or "").split(),
    }


def _caches() -> dict[str, str | None]:
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    parts = (
        (read_text(f / "level"), read_text(f / "type"), read_text(f / "size")) for f in folders
    )
    return {f"L{level} {kind}": size for level, kind, size in parts}


def memory() -> dict[str, Any]:
    """Memory, swap, the limit set on this process and how pages are handed out."""
    return {
        "total_bytes": psutil.virtual_memory().total,
        "swap_bytes": psutil.swap_memory().total,
        "cgroup_bytes": cgroup_memory_bytes(),
        "transparent_hugepage": read_text("/sys/kernel/mm/transparent_hugepage/enabled"),
    }


def system() -> dict[str, Any]:
    """Operating system, kernel, C library and Python."""
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        distribution = None
    return {
        "system": platform.system(),
        "distribution": distribution,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "c_library": " ".join(platform.libc_ver()).strip() or None,
        "python": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "python_compiler": platform.python_compiler(),
    }


def gpus() -> tuple[dict[str, str], ...]:
    """NVIDIA GPUs that the driver reports, seen by TensorFlow or not; empty without any."""
    text = query("nvidia-smi", f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader")
    if text is not None:
        return tuple(gpu_row(line) for line in text.splitlines() if line.strip())
    folders = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return tuple(cpu_fields(read_text(folder) or "") for folder in folders)


def gpu_uuids() -> tuple[str, ...]:
    """Identifiers of the same GPUs, which are not recorded; empty where they are unknown."""
    text = query("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())


def gpu_row(line: str) -> dict[str, str]:
    """One comma-separated line of `nvidia-smi` as a mapping."""
    return dict(zip(GPU_FIELDS, (part.strip() for part in line.split(",")), strict=False))
