"""Which packages the project needs and which are here."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import harness
from harness.doctor.lines import Line
from harness.measure.environment import git_state

DISTRIBUTION = "resnet-reproducibility-harness"
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*(==|>=)?\s*([0-9][0-9.]*)?")
OLDEST_PYTHON = (3, 11)
INSTALL = "python -m pip install -r requirements.lock, in the environment that runs harness"


def python_line() -> Line:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Line("python", "wrong", f"{version}; 3.11 or later is needed", "use a newer Python")
    return Line("python", "ok", f"{version} ({sys.executable}), text as {sys.stdout.encoding}")


def code_line() -> Line:
    """The harness itself: where it runs from, at which commit."""
    code = git_state()
    where = f"{harness.__version__} in {Path(harness.__file__).parent}"
    if code.problem:
        return Line("harness", "note", f"{where}; git does not report its commit: {code.problem}")
    commit = f"commit {code.commit[:12]}" if code.commit else "not from a checkout of its own"
    return Line("harness", "ok", f"{where}, {commit}{', changed' if code.dirty else ''}")


def packages_line() -> Line:
    """What is missing, too old or not the pinned version."""
    wanted = requirements()
    if not wanted:
        return Line("packages", "note", "what the project needs is written nowhere here")
    faults = [fault for text in wanted if (fault := _fault(text))]
    if faults:
        return Line("packages", "wrong", "; ".join(faults), INSTALL, {"faults": faults})
    return Line("packages", "ok", f"all {len(wanted)} that the project needs are here")


def requirements() -> tuple[str, ...]:
    """The project's own list, without extras: of the installed package, else of the checkout."""
    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        file = Path(harness.__file__).resolve().parents[1] / "pyproject.toml"
        if not file.exists():
            return ()
        listed = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    return tuple(text for text in listed if "extra ==" not in text)


def _fault(requirement: str) -> str | None:
    match = REQUIREMENT.match(requirement)
    if match is None:
        return f"{requirement} cannot be read"
    name, comparison, wanted = match.groups()
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    if comparison == "==" and found != wanted:
        return f"{name} is {found}, and {wanted} is pinned"
    if comparison == ">=" and _numbers(found) < _numbers(wanted):
        return f"{name} is {found}, and {wanted} is the oldest that is known to do"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
