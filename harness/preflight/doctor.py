"""`harness doctor`: everything around the harness, tried in seconds, with a remedy for a fault."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import harness
from harness.data.opening import find_dataset
from harness.data.shape import data_shape
from harness.errors import HarnessError, MachineError
from harness.measure import machine
from harness.measure.environment import git_state, numerics_flags
from harness.measure.visible_gpus import LIST_VARIABLE, listed_gpus
from harness.system.children import run_python
from harness.system.folders import try_folder, try_temporary
from harness.tracking.address import shown_uri
from harness.tracking.check import check_tracker
from harness.tracking.places import tracker_of

GIB = 1 << 30
LONGEST_S = 300.0
State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        topic: What.
        state: `ok`, `note` where a run works with less, `fault` where it does not.
        text: What was found, with its remedy.
    """

    topic: str
    state: State
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0, or 2 where something is a fault."""
        return MachineError.exit_code if any(f.state == "fault" for f in self.findings) else 0

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {"findings": [asdict(finding) for finding in self.findings]}

    def text(self) -> str:
        """A line for each finding, more where it has more to say."""
        width = max(len(finding.topic) for finding in self.findings)
        lines = [
            f"{f.state:5}  {f.topic:{width}}  " + f.text.replace("\n", "\n" + " " * (width + 9))
            for f in self.findings
        ]
        faults = sum(f.state == "fault" for f in self.findings)
        return "\n".join([*lines, "", f"{faults or 'no'} fault{'' if faults == 1 else 's'}"])


def diagnose(runs: Path, data: Path | None, tracking_uri: str | None) -> Diagnosis:
    """Try everything; a fault ends nothing.

    Args:
        runs: Folder that runs would go to; made where it is missing.
        data: A data folder to look at, if any.
        tracking_uri: MLflow's; None is SQLite within `runs`.
    """
    checks: dict[str, Callable[[], Iterator[tuple[State, str]]]] = {
        "harness": _code,
        "system": _system,
        "TensorFlow": _tensorflow,
        "GPU": _gpus,
        "variables": _variables,
        "runs folder": lambda: _folder(runs),
        "temporary files": _temporary,
        "tracker": lambda: _tracker(tracker_of(runs, tracking_uri)),
        "loopback": _loopback,
    }
    if data is not None:
        checks["data"] = lambda: _data(data)
    return Diagnosis(
        tuple(finding for topic, check in checks.items() for finding in _findings(topic, check))
    )


def _findings(topic: str, check: Callable[[], Iterator[tuple[State, str]]]) -> Iterator[Finding]:
    try:
        for state, text in check():
            yield Finding(topic, state, text)
    except HarnessError as error:
        yield Finding(topic, "fault", str(error))
    except OSError as error:
        yield Finding(topic, "fault", f"the system says no: {error}")


def _code() -> Iterator[tuple[State, str]]:
    code = git_state()
    where = f"{harness.__version__} in {Path(harness.__file__).parent}"
    if code.problem:
        yield "note", f"{where}; git does not tell its commit: {code.problem}"
        return
    commit = f", commit {code.commit[:12]}" if code.commit else ", not from a checkout of its own"
    yield "ok", f"{where}{commit}{', changed' if code.dirty else ''}"


def _system() -> Iterator[tuple[State, str]]:
    cores, encoding = machine.usable_cores(), sys.stdout.encoding
    python = f"Python {platform.python_version()} ({sys.executable})"
    yield "ok", f"{python}, {cores} cores, text as {encoding}"


def _tensorflow() -> Iterator[tuple[State, str]]:
    """In a child: what aborts there ends nothing here."""
    try:
        done = run_python("harness.preflight.doctor_probe", timeout_s=LONGEST_S)
    except subprocess.TimeoutExpired:
        yield "fault", f"it did not start within {LONGEST_S:g} s: does the driver answer?"
        return
    if done.returncode:
        yield "fault", done.stderr.strip() or f"it ended with code {done.returncode}"
        return
    found = json.loads(done.stdout.splitlines()[-1])
    yield "ok", f"{found['version']}, {', '.join(found['devices'])}"


def _gpus() -> Iterator[tuple[State, str]]:
    gpus = machine.gpus()
    seen = listed_gpus(os.environ.get(LIST_VARIABLE), gpus, machine.gpu_uuids())
    hidden = f"; {LIST_VARIABLE} hides {len(gpus) - len(seen)}" if len(seen) < len(gpus) else ""
    yield "ok", f"the driver reports {', '.join(seen) or 'none'}{hidden}"


def _variables() -> Iterator[tuple[State, str]]:
    flags = numerics_flags(dict(os.environ), gpus=True)
    words = " ".join(f"{name}={value}" for name, value in flags.items())
    if words:
        yield "note", f"these can change bits and are part of a run's numerics: {words}"
    else:
        yield "ok", "none that can change bits"


def _folder(runs: Path) -> Iterator[tuple[State, str]]:
    lacks = try_folder(runs)
    free = shutil.disk_usage(runs).free / GIB
    yield "ok", f"{runs.resolve()} takes files, {free:,.1f} GiB free"
    for lack in lacks:
        yield "note", lack


def _temporary() -> Iterator[tuple[State, str]]:
    yield "ok", str(try_temporary())


def _tracker(tracking_uri: str) -> Iterator[tuple[State, str]]:
    outage = check_tracker(tracking_uri)
    if outage:
        yield "note", f"{outage}\na run goes on without it; `harness sync` sends its journal later"
    else:
        yield "ok", shown_uri(tracking_uri)


def _loopback() -> Iterator[tuple[State, str]]:
    """Workers and `harness ui` listen there."""
    with socket.create_server(("127.0.0.1", 0)):
        yield "ok", "a server can listen on 127.0.0.1"


def _data(data: Path) -> Iterator[tuple[State, str]]:
    shape = data_shape(find_dataset(data))
    images = f"{shape.train_images:,} training and {shape.val_images:,} validation images"
    yield "ok", f"{images} in {len(shape.classes):,} classes"
