"""`harness doctor`: look at everything, the cheap first, and let nothing hold up the rest."""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.doctor import gpus, host, packages, tracker
from harness.doctor.child import NAMES
from harness.doctor.job import job_line
from harness.doctor.lines import ASK, Diagnosis, Line, guarded
from harness.measure.gpu_list import system_gpus
from harness.measure.visible_gpus import LIST_VARIABLE
from harness.recipes.recipe import Recipe
from harness.system.children import start_python
from harness.system.folders import try_folder

DEVICE_TIMEOUT_S = 100.0
"""For all that TensorFlow is asked, so that the whole stays below two minutes."""
FURTHER_TIMEOUT_S = 60.0
DECLARED_SEEDS = 3
USUAL_DISK_BYTES = 3 << 30
"""Of a seed of the main job, where the step could not be made."""
LAST_WORDS = 3
NO_ANSWER = "no answer"
LONGER = f"end other work and look again, or give it more time with --patience 400; else {ASK}"
CHILD = "harness.doctor.child"
Told = Callable[[Line], None]


@dataclass(frozen=True)
class Request:
    """What to look at.

    Attributes:
        recipe: Of the main job.
        runs: Folder of the runs; it is made where it is missing.
        data: A data folder to look at, if any.
        tracking_uri: MLflow's; None tries a new database.
        device_timeout_s: For all that TensorFlow is asked.
    """

    recipe: Recipe
    runs: Path
    data: Path | None = None
    tracking_uri: str | None = None
    device_timeout_s: float = DEVICE_TIMEOUT_S


def diagnose(request: Request, told: Told = lambda _line: None) -> Diagnosis:
    """Look at everything.

    Args:
        request: What to look at.
        told: Called with each line as soon as it is known.
    """
    begin = time.monotonic()
    lines: list[Line] = []

    def add(line: Line) -> None:
        lines.append(line)
        told(line)

    runs = guarded("runs folder", lambda: _runs_line(request.runs))
    for line in (
        guarded("harness", packages.code_line),
        guarded("python", packages.python_line),
        guarded("packages", packages.packages_line),
        guarded("driver", gpus.driver_line),
        guarded("cores", lambda: host.cores_line(beside_gpu=bool(system_gpus().names))),
        guarded("memory", host.memory_line),
        guarded("variables", host.variables_line),
        guarded("temporary files", host.temporary_line),
        guarded("loopback", host.loopback_line),
        runs,
    ):
        add(line)
    environment = _device_lines(request, add)
    for line in _further_gpus(request, lines):
        add(line)
    if runs.state != "wrong":
        add(guarded("disk", lambda: host.disk_line(request.runs, _disk_bytes(lines))))
        add(guarded("locks", lambda: host.locks_line(request.runs)))
        add(guarded("mlflow", lambda: tracker.tracker_line(request.runs, request.tracking_uri)))
    if request.data is not None:
        data = request.data
        add(guarded("data", lambda: host.data_line(data)))
    add(guarded("main job", lambda: job_line(request.recipe, lines, DECLARED_SEEDS)))
    return Diagnosis(tuple(lines), time.monotonic() - begin, environment)


def _disk_bytes(lines: list[Line]) -> int:
    """What the declared seeds need, as counted with the step."""
    loads = (line.figures.get("load", {}).get("disk_bytes") for line in lines)
    return DECLARED_SEEDS * next((int(load) for load in loads if load), USUAL_DISK_BYTES)


def _runs_line(runs: Path) -> Line:
    try_folder(runs)
    return Line("runs folder", "ok", f"{runs.resolve()} takes files")


def _device_lines(request: Request, add: Told) -> dict[str, Any]:
    """What the device's process reports, and what it did not come to."""
    seen: set[str] = set()
    environment: dict[str, Any] = {}

    def take(document: dict[str, Any]) -> None:
        if "environment" in document:
            environment.update(document["environment"])
            return
        line = Line.of(document)
        seen.add(line.name)
        add(line)

    ended = _ask({"recipe": request.recipe.name}, take, request.device_timeout_s, os.environ)
    missing = [name for name in NAMES if name not in seen]
    if ended is not None and missing:
        left = f", so {', '.join(missing[1:])} could not be looked at" if missing[1:] else ""
        add(Line(missing[0], "wrong", f"{ended}{left}", LONGER if NO_ANSWER in ended else ASK))
    return environment


def _further_gpus(request: Request, lines: list[Line]) -> list[Line]:
    """The step on each GPU but the first, all at once."""
    count = next((line.figures.get("gpus", 0) for line in lines if line.name == "tensorflow"), 0)
    listed = os.environ.get(LIST_VARIABLE)
    entries = tuple(map(str, range(count))) if listed is None else tuple(listed.split(","))
    found: list[Line] = []

    def one(entry: str) -> None:
        name = f"step on GPU {entry}"

        def take(document: dict[str, Any]) -> None:
            if document.get("name") == "step":
                found.append(Line.of({**document, "name": name}))

        environ = {**os.environ, LIST_VARIABLE: entry}
        asked = {"recipe": request.recipe.name, "only_step": True}
        ended = _ask(asked, take, FURTHER_TIMEOUT_S, environ)
        if ended is not None and name not in [line.name for line in found]:
            found.append(Line(name, "wrong", ended, ASK))

    threads = [threading.Thread(target=one, args=(entry,)) for entry in entries[1:count]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found, key=lambda line: line.name)


def _ask(
    asked: dict[str, Any],
    take: Callable[[dict[str, Any]], None],
    timeout_s: float,
    environ: Mapping[str, str],
) -> str | None:
    """Run the device's process; None at its regular end, else how it ended."""
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as errors:
        child = start_python(
            CHILD, json.dumps(asked), environ=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        lines = _lines_of(child)
        try:
            while (line := lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
                if line.startswith("{"):
                    take(json.loads(line))
        except queue.Empty:
            child.kill()
            return f"{NO_ANSWER} within {timeout_s:.0f} s"
        finally:
            code = child.wait()
            if child.stdout is not None:
                child.stdout.close()
        return None if code == 0 else f"the process ended with {code}: {_last_words(errors)}"


def _lines_of(child: "subprocess.Popen[str]") -> "queue.Queue[str | None]":
    """Lines of a process as they come; None at their end."""
    found: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in child.stdout or ():
            found.put(line)
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    text = errors.read().decode(errors="replace").strip().splitlines()
    return " / ".join(text[-LAST_WORDS:]) or "it said nothing"
