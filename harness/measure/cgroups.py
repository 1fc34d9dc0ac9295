"""What a control group grants: processor time and memory, from the files of version 1 or 2.

A limit may be set on the process's own group or on any above it, so the least of all
counts. Inside a container the own group is often the root of what is seen.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
MEMORY_FILES = (
    (None, "memory.max", "memory.current", ""),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)
"""Of version 2 and 1: the controller, files of limit and use, and how names in `memory.stat` begin
that count the groups below as well."""
FILE_PAGES = ("inactive_file", "active_file")
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
    return min((limit for limit, _ in _memory(root, own)), default=None)


def cgroup_free_memory_bytes(root: Path = ROOT, own: Path = OWN) -> int | None:
    """What the groups' processes leave of the memory limit in bytes; None without a limit.

    Pages of files count as free, as the kernel's own estimate for the host has them: a training
    that reads its images again and again fills the group with such pages.
    """
    return min((max(0, limit - used) for limit, used in _memory(root, own)), default=None)


def _memory(root: Path, own: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each group that has a limit, in bytes."""
    for controller, limit, current, prefix in MEMORY_FILES:
        for folder in _folders(root, own, controller):
            text = _text(folder / limit)
            if text.isdigit() and int(text) < UNLIMITED_BYTES:
                stat = _text(folder / "memory.stat")
                pages = sum(_stat(stat, f"{prefix}{name}") for name in FILE_PAGES)
                yield int(text), _number(_text(folder / current)) - pages


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _stat(text: str, name: str) -> int:
    """A value in lines `name number`; 0 where it is missing."""
    values = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return _number(values[0]) if values else 0


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
