"""The lock files: every version with hashes, and nothing that names a place."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-gpu.lock")
PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def requirements(lock: str) -> dict[str, list[str]]:
    """Versions by name; more than one where they depend on the platform."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        match = PINNED.match(line)
        if match:
            found.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_pins_a_version_or_is_a_hash(lock: str) -> None:
    lines = [x for x in (ROOT / lock).read_text().splitlines() if not x.startswith("#")]
    strangers = [x for x in lines if not (PINNED.match(x) or HASH.match(x))]
    assert strangers == []
    followers = [b for a, b in zip(lines, [*lines[1:], ""], strict=True) if PINNED.match(a)]
    assert len(followers) > 100
    assert all(HASH.match(line) for line in followers)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("place", ["://", "--index", "--find-links", "file:", "/home/", "@"])
def test_a_lock_names_no_place(lock: str, place: str) -> None:
    assert place not in (ROOT / lock).read_text()


def declared() -> dict[str, list[str]]:
    """Requirements in pyproject.toml by group; `build` is what builds the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    return {
        "run": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
        "dev": extras["dev"],
        "gpu": extras["gpu"],
    }


@pytest.mark.parametrize(
    ("lock", "group"),
    [(lock, group) for lock in LOCKS for group in ("run", "build", "dev")] + [(LOCKS[1], "gpu")],
)
def test_a_lock_satisfies_what_the_project_declares(lock: str, group: str) -> None:
    locked = requirements(lock)
    for text in declared()[group]:
        wanted = Requirement(text)
        versions = locked[canonicalize_name(wanted.name)]
        assert all(version in wanted.specifier for version in versions), text


def test_the_gpu_lock_only_adds_to_the_other() -> None:
    plain, gpu = (requirements(lock) for lock in LOCKS)
    assert {name: gpu[name] for name in plain} == plain
    added = set(gpu) - set(plain)
    assert added
    assert all(name.startswith("nvidia-") for name in added)


def test_the_smoke_downloads_no_cuda() -> None:
    assert not [name for name in requirements(LOCKS[0]) if name.startswith("nvidia-")]
