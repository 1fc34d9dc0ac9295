"""The measurements of a run's steps as arrays, read without validating each event."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import RecordError
from harness.record.journal import FILE_NAME
from harness.record.schema import SCHEMA_VERSION, Steps

_STEPS = b'"event":"steps"'
_HEAD = 96
COMPILED = "compiled"


def read_columns(
    path: Path, names: Sequence[str], *, until: int | None = None
) -> dict[str, np.ndarray]:
    """Fields of `Steps` as float64 arrays over all recorded steps, in order.

    The full reader validates every number; a journal of 500,000 steps takes it
    most of a minute, this one a second or two.

    Args:
        path: A journal file, or a run's folder.
        names: Fields of `Steps`, such as `loss`. `compiled` is 1 where a step
            holds compilation, else 0.
        until: Stop after so many steps.

    Raises:
        RecordError: no journal, a newer schema, a malformed window, or steps
            that are missing or doubled.
    """
    path = path / FILE_NAME if path.is_dir() else path
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    done = 0
    for number, line in _step_lines(path):
        if until is not None and done >= until:
            break
        window = _window(line, path, number)
        steps = window["step"]
        if steps[0] != done or len(steps) != steps[-1] - done + 1:
            raise _malformed(
                path, number, f"steps {steps[0]} to {steps[-1]} follow step {done - 1}"
            )
        for name in names:
            parts[name].append(_column(window, name, path, number))
        done = steps[-1] + 1
    return {
        name: np.concatenate(found)[:until] if found else np.zeros(0)
        for name, found in parts.items()
    }


def _step_lines(path: Path) -> list[tuple[int, bytes]]:
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise RecordError(
            f"cannot read the journal ({error.strerror})",
            where=str(path),
            expected=f"a run's folder with {FILE_NAME}",
            remedy="name a folder like runs/<recipe>-<digest>/seed-<n>",
        ) from error
    return [(i, line) for i, line in enumerate(lines, start=1) if _STEPS in line[:_HEAD]]


def _window(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        window: dict[str, Any] = json.loads(line)
        version = window["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed(path, number, "a line of the journal is no event") from error
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RecordError(
            f"the journal has schema version {version}",
            where=f"{path}, line {number}",
            expected=f"at most {SCHEMA_VERSION}",
            remedy="read it with the newer harness that wrote it",
        )
    if not window.get("step"):
        raise _malformed(path, number, "a window without steps")
    return window


def _column(window: dict[str, Any], name: str, path: Path, number: int) -> np.ndarray:
    if name not in Steps.model_fields:
        raise ValueError(f"{name} is no field of Steps")
    steps = window["step"]
    if name == COMPILED:
        return np.isin(np.asarray(steps), window.get(name, [])).astype(np.float64)
    values = window.get(name)
    if not isinstance(values, list) or len(values) != len(steps):
        raise _malformed(path, number, f"{name} does not have one entry for each step")
    return np.asarray(values, np.float64)


def _malformed(path: Path, number: int, found: str) -> RecordError:
    return RecordError(
        found,
        where=f"{path}, line {number}",
        expected="windows as written by `harness run`, each step once and in order",
        remedy="restore the file from a copy; lines are never edited",
    )
