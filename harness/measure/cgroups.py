"""What a control group grants: processor time and memory, from the files of version 1 or 2.

A limit may be set on the process's own group or on any above it, so the least of all
counts. Inside a container the own group is often the root of what is seen.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
UNLIMITED_BYTES = 1 << 60
"""Version 1 writes no limit as a number near 2^63."""


def cgroup_cores(root: Path = ROOT, own: Path = OWN) -> float | None:
    """The processor quota in cores; None without one.

    Args:
        root: Where control groups are mounted.
        own: The file that names this process's groups.
    """
    quotas = [_quota(_text(folder / "cpu.max")) for folder in _folders(root, own, None)]
    for folder in _folders(root, own, "cpu"):
        quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        quotas.append(_quota(f"{quota} {period}"))
    return min((quota for quota in quotas if quota is not None), default=None)


def cgroup_memory_bytes(root: Path = ROOT, own: Path = OWN) -> int | None:
    """The memory limit in bytes; None without one."""
    texts = [_text(folder / "memory.max") for folder in _folders(root, own, None)]
    texts += [_text(f / "memory.limit_in_bytes") for f in _folders(root, own, "memory")]
    limits = [int(text) for text in texts if text.isdigit()]
    return min((limit for limit in limits if limit < UNLIMITED_BYTES), default=None)


def _folders(root: Path, own: Path, controller: str | None) -> Iterator[Path]:
    """The own group's folder and all above it; `controller` None is version 2."""
    if controller is None:
        mounts = [root, root / "unified"]
    else:
        mounts = [f for f in sorted(root.glob("*")) if controller in f.name.split(",")]
    path = _own_path(_text(own), controller)
    for mount in mounts:
        yield from (mount / part for part in (path, *path.parents))


def _own_path(text: str, controller: str | None) -> Path:
    """This process's group in the lines `number:controllers:/path`, relative to its mount."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        wanted = (
            number == "0" and not names if controller is None else controller in names.split(",")
        )
        if wanted and ".." not in path:
            return Path(path.strip("/"))
    return Path()


def _quota(text: str) -> float | None:
    """Cores of `quota period`, both in microseconds."""
    parts = text.split()
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        return None
    return int(parts[0]) / int(parts[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
