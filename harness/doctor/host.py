"""The host: cores as granted, memory, disk, and what the runs folder's file system keeps."""

import fcntl
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from harness.doctor.lines import Line
from harness.measure.cgroups import cgroup_cores, cgroup_memory_bytes
from harness.measure.environment import numerics_flags
from harness.measure.machine import cpu_model, scheduled_cores, usable_cores
from harness.preflight.memory import free_memory_bytes
from harness.system.children import run_python
from harness.system.folders import try_folder, try_temporary

GIB = 1 << 30
FEW_CORES = 8
"""Beside a GPU: decoding and augmenting ImageNet for one takes more."""
BUSY = 1.5
"""Tasks that want to run for each core of the host, above which all timings are too slow."""
LITTLE_MEMORY = 16 * GIB
WRITTEN_BYTES = 64 << 20
SLOW_WRITE_BYTES_PER_S = 50e6
LOCK_TIMEOUT_S = 20
NETWORK = ("nfs", "nfs4", "cifs", "smb", "lustre", "gpfs", "beegfs", "fuse", "ceph", "9p")


def cores_line(*, beside_gpu: bool) -> Line:
    """Cores as granted."""
    granted, scheduled, quota = usable_cores(), scheduled_cores(), cgroup_cores()
    total = os.cpu_count() or scheduled
    limits = [f"{scheduled} by affinity of {total}"]
    limits += [f"{quota:g} by control group"] if quota is not None else []
    found = f"{granted} granted ({', '.join(limits)}), {cpu_model()}"
    figures: dict[str, Any] = {
        "granted": granted,
        "affinity": scheduled,
        "quota": quota,
        "logical": total,
    }
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    figures["load_average_1min"] = load
    if load > BUSY * total:
        words = f"{found}; other work is running (load {load:.0f})"
        return Line("cores", "slow", words, "end it: what is timed below is too slow", figures)
    if beside_gpu and granted < FEW_CORES:
        remedy = f"ask for {FEW_CORES} cores or more for each GPU: they decode its images"
        return Line("cores", "slow", found, remedy, figures)
    return Line("cores", "ok", found, figures=figures)


def memory_line() -> Line:
    """Memory of the host as granted."""
    total, limit = psutil.virtual_memory().total, cgroup_memory_bytes()
    granted = min(total, limit) if limit else total
    free = min(free_memory_bytes(), granted)
    found = f"{granted / GIB:.0f} GiB granted, {free / GIB:.0f} GiB free"
    figures = {"granted_bytes": granted, "free_bytes": free, "limit_bytes": limit}
    if granted < LITTLE_MEMORY:
        remedy = f"{LITTLE_MEMORY / GIB:.0f} GiB suffice for the main job beside a GPU"
        return Line("memory", "note", found, remedy, figures)
    return Line("memory", "ok", found, figures=figures)


def disk_line(runs: Path, needed_bytes: int) -> Line:
    """Room for the main job, and how fast a checkpoint is written through."""
    kind = file_system(runs)
    free = psutil.disk_usage(str(runs)).free
    begin = time.perf_counter()
    with tempfile.TemporaryFile(dir=runs) as file:
        file.write(os.urandom(1 << 20) * (WRITTEN_BYTES >> 20))
        file.flush()
        os.fsync(file.fileno())
    rate = WRITTEN_BYTES / (time.perf_counter() - begin)
    found = (
        f"{free / GIB:.0f} GiB free on {kind or 'an unknown file system'}, the main job needs "
        f"{needed_bytes / GIB:.0f}; {rate / 1e6:.0f} MB/s written through"
    )
    figures = {"free_bytes": free, "needed_bytes": needed_bytes, "write_bytes_per_s": rate,
               "file_system": kind}  # fmt: skip
    if free < needed_bytes:
        return Line("disk", "wrong", found, "make room, or name a folder with --runs", figures)
    if rate < SLOW_WRITE_BYTES_PER_S:
        remedy = "training waits for checkpoints; name a folder on a faster disk with --runs"
        return Line("disk", "slow", found, remedy, figures)
    return Line("disk", "ok", found, figures=figures)


def file_system(folder: Path) -> str | None:
    """Kind of the file system that holds a folder."""
    resolved = str(folder.resolve())
    mounts = [
        part
        for part in psutil.disk_partitions(all=True)
        if f"{resolved}/".startswith(part.mountpoint.rstrip("/") + "/")
    ]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else None


def locks_line(runs: Path) -> Line:
    """Whether a lock of one process keeps another out, and a rename replaces a file at once.

    A run relies on both: one process writes to it, and a checkpoint is whole or not there.
    """
    remedy = "name a folder of a local disk, or of a file system with locks, with --runs"
    lacks = try_folder(runs)
    if lacks:
        return Line("locks", "wrong", lacks[0], remedy)
    with tempfile.TemporaryDirectory(dir=runs, prefix=".doctor-") as folder:
        lock = Path(folder) / "lock"
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return Line("locks", "wrong", f"a file cannot be locked: {error}", remedy)
            other = run_python("harness.doctor.host", str(lock), timeout_s=LOCK_TIMEOUT_S)
        if other.returncode:
            return Line("locks", "wrong", "a lock does not keep another process out", remedy)
        old, new = Path(folder) / "old", Path(folder) / "new"
        old.write_text("old")
        new.write_text("new")
        new.replace(old)
        if new.exists() or old.read_text() != "new":
            return Line("locks", "wrong", "a rename does not replace a file", remedy)
    kind = file_system(runs)
    if kind in NETWORK:
        words = f"locks and renames hold on this host; {kind} must keep them between hosts too"
        return Line("locks", "note", words)
    return Line("locks", "ok", "a lock keeps another process out, a rename replaces a file")


def temporary_line() -> Line:
    """The folder for temporary files."""
    return Line("temporary files", "ok", str(try_temporary()))


def loopback_line() -> Line:
    """Workers of one machine and `harness ui` listen there."""
    with socket.create_server(("127.0.0.1", 0)):
        return Line("loopback", "ok", "a server can listen on 127.0.0.1")


def variables_line() -> Line:
    """Variables of the environment that are part of a run's numerics."""
    flags = numerics_flags(dict(os.environ), gpus=2)
    if not flags:
        return Line("variables", "ok", "none that can change bits")
    words = " ".join(f"{name}={value}" for name, value in flags.items())
    return Line("variables", "note", f"these can change bits and are recorded: {words}")


def data_line(data: Path) -> Line:
    """A data folder, by its shape."""
    from harness.data.opening import find_dataset
    from harness.data.shape import data_shape

    shape = data_shape(find_dataset(data))
    images = f"{shape.train_images:,} training and {shape.val_images:,} validation images"
    return Line("data", "ok", f"{images} in {len(shape.classes):,} classes")


def main() -> None:
    """Try to lock a file that another process holds; ends with 0 where it is kept out."""
    with Path(sys.argv[1]).open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(0)
    sys.exit(1)


if __name__ == "__main__":
    main()
