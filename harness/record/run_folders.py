"""Which runs a command's paths mean."""

import os
from collections.abc import Iterable
from pathlib import Path

from harness.errors import RecordError, UsageError
from harness.record.journal import FILE_NAME

EVALUATION_FILE = "evaluation.json"
"""What `harness evaluate` leaves where a run has its journal."""


def find_runs(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The folders of runs that paths mean, each once, in the order given.

    A path is a run's folder, its journal, or a study's folder, which stands
    for every run in it, whatever its folder is called: `seed-*` by number, then
    the others.

    Raises:
        UsageError: no path was given.
        RecordError: a path has no journal.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for run in _runs_at(path):
            found[run.resolve()] = None
    if not found:
        raise UsageError(
            "no run was named",
            expected="folders like runs/<recipe>-<digest>/seed-<n>, or the folder above them",
            remedy="see `harness list runs`",
        )
    return tuple(found)


def _runs_at(path: Path) -> list[Path]:
    if path.name == FILE_NAME and path.is_file():
        return [path.parent]
    if (path / FILE_NAME).is_file():
        return [path]
    runs = runs_of_study(path)
    if runs:
        return runs
    if (path / EVALUATION_FILE).is_file():
        raise RecordError(
            "there is no run here, but an evaluation of imported weights",
            where=str(path),
            expected=f"a run's folder, with {FILE_NAME}",
            remedy=f"judge it with `harness verdict {path} --baseline NAME`, "
            "a row of `harness list baselines`",
        )
    raise RecordError(
        "there is no run here",
        where=str(path),
        expected=f"a folder with {FILE_NAME}, or one with */{FILE_NAME}",
        remedy="see `harness list runs`, or check the path",
    )


def runs_of_study(study: Path) -> list[Path]:
    """Every folder with a journal in a study: a renamed run is still one of its runs."""
    return sorted((file.parent for file in study.glob(f"*/{FILE_NAME}")), key=_place)


def data_from(folder: Path, data: Path) -> str:
    """Where a run's data lies: as given when absolute, else seen from the run's folder.

    `data_of` names it again from any working directory, and a tree that holds
    both may be moved.
    """
    return str(data) if data.is_absolute() else os.path.relpath(data, folder)


def data_of(folder: Path, recorded: str | None) -> Path | None:
    """The data folder that a run recorded by `data_from`, whether or not it is there."""
    return Path(os.path.normpath(folder / recorded)) if recorded else None


def _place(folder: Path) -> tuple[bool, int, str]:
    digits = folder.name.removeprefix("seed-")
    is_seed = folder.name.startswith("seed-") and digits.isdigit()
    return (not is_seed, int(digits) if is_seed else 0, folder.name)
