"""The folder of a run: its place, its lock, what it holds, and which runs a path means."""

import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import RecordError, RunLockedError, UsageError
from harness.files import replace_text
from harness.recipes.recipe import Recipe
from harness.record.journal import (
    EXCERPT_NAME,
    FILE_NAME,
    Journal,
    journal_in,
    read_journal,
)
from harness.record.schema import EffectiveNumerics, Steps
from harness.system.folders import LockHeldError, is_locked, take_lock
from harness.system.secrets import without_credentials

LOCK_FILE = ".lock"
BESIDE_THE_JOURNAL = ("recipe.json", "environment.json", "certificate.json")
EVALUATION_FILE = "evaluation.json"
"""What `harness evaluate` leaves where a run has its journal."""
CONTACT_SHEET = "contact-sheet.png"
LISTED = 10
"""Studies that a message names; the others are counted."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal file."""
        return self.path / FILE_NAME

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def predictions(self, protocol: str, step: int) -> Path:
        """The prediction file of a protocol after `step` steps."""
        return self.path / f"predictions-{protocol}-step-{step}.parquet"


def run_folder(runs: Path, recipe: Recipe, seed: int) -> RunFolder:
    """The folder of a recipe's run with this seed."""
    return RunFolder(study_folder(runs, recipe) / f"seed-{seed}")


def study_folder(runs: Path, recipe: Recipe) -> Path:
    """The folder that holds all seeds of a recipe."""
    return runs / f"{recipe.name}-{recipe.digest[:8]}"


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Hold the run's lock.

    Raises:
        RunLockedError: another process holds it; its id and host are named.
        UsageError: the folder cannot be written.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(
            f"the run's folder cannot be written ({error.strerror})",
            where=str(folder.path),
            expected="a folder that this user may write",
            remedy="name another with --runs",
        ) from error
    try:
        _lock(descriptor, folder.path)
        yield
    finally:
        os.close(descriptor)


def is_running(folder: Path) -> bool:
    """Whether a process trains this run, by its lock; its folder need not be writable."""
    return is_locked(folder / LOCK_FILE)


def _lock(descriptor: int, path: Path) -> None:
    """A file system without locks is reported before the run, see `try_folder`."""
    try:
        take_lock(descriptor)
    except LockHeldError as error:
        raise RunLockedError(
            f"another process is training this run: {str(error) or 'unknown'}",
            where=str(path),
            expected="one process for each run",
            remedy="wait for it, or stop it; then give the same command again",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


def existing_journal(folder: RunFolder) -> Journal | None:
    """The journal of a run that was begun, or None.

    Raises:
        RecordError: it is damaged, or an excerpt, which no run goes on from.
    """
    found = journal_in(folder.path)
    if found is None:
        return None
    journal = whole(read_journal(found))
    return journal if journal.events else None


def whole(journal: Journal) -> Journal:
    """The journal itself. Raises `RecordError` where it is an excerpt."""
    if journal.excerpt is None:
        return journal
    raise RecordError(
        "the journal is an excerpt, which has a part of the steps and no states",
        where=str(journal.path),
        expected="the whole journal of a run",
        remedy="name the run that it was taken from",
    )


@dataclass(frozen=True)
class Begun:
    """A run that was begun.

    Attributes:
        journal: As it was when it was read; of a finished run without its steps, which
            are most of it and are not needed any more.
        size_bytes: Of the file at that time.
    """

    journal: Journal
    size_bytes: int


def begun_run(folder: RunFolder, known: Begun | None = None) -> Begun | None:
    """A run that was begun, or None; `known` itself where its journal has not changed since."""
    size_bytes = folder.journal.stat().st_size if folder.journal.exists() else 0
    if known is not None and known.size_bytes == size_bytes:
        return known
    journal = existing_journal(folder)
    if journal is None:
        return None
    if journal.finished is not None:
        events = tuple(e for e in journal.events if not isinstance(e, Steps))
        journal = replace(journal, events=events)
    return Begun(journal, size_bytes)


def check_same_run(journal: Journal, recipe: Recipe, data_root: str, seed: int) -> None:
    """Raise `RecordError` when the folder holds a run of another recipe, data set or seed."""
    started = journal.started
    pairs = {
        "recipe digest": (started.recipe_digest, recipe.digest),
        "data root": (started.data.root_digest, data_root),
        "seed": (str(started.seed), str(seed)),
    }
    for key, (recorded, asked) in pairs.items():
        if recorded != asked:
            raise RecordError(
                f"the folder holds a run with another {key}: {recorded}",
                where=str(journal.path.parent),
                expected=asked,
                remedy="name another folder with --runs, or move this one away",
            )


def latest_numerics(journal: Journal) -> EffectiveNumerics:
    """The numerics under which the run was last executed."""
    latest = journal.started.numerics
    for event in journal.interruptions:
        if event.event == "resumed":
            latest = event.numerics
    return latest


def write_json(path: Path, document: object) -> None:
    """Write a JSON document atomically, without credentials in its addresses."""
    replace_text(path, without_credentials(json.dumps(document, indent=2, sort_keys=True)) + "\n")


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
    if path.name in {FILE_NAME, EXCERPT_NAME} and path.is_file():
        return [path.parent]
    if journal_in(path):
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
    studies = sorted({file.parent.parent.name for file in path.glob(f"*/*/{FILE_NAME}*")})
    if studies:
        listed = ", ".join(studies[:LISTED])
        more = f" and {len(studies) - LISTED} more" if len(studies) > LISTED else ""
        raise RecordError(
            "this folder holds studies, not the runs of one",
            where=str(path),
            expected=f"one of its studies: {listed}{more}",
            remedy=f"name it, such as {path / studies[0]}",
        )
    raise RecordError(
        "there is no run here",
        where=str(path),
        expected=f"a folder with {FILE_NAME}, or one with */{FILE_NAME}",
        remedy="see `harness list runs`, or check the path",
    )


def runs_of_study(study: Path) -> list[Path]:
    """Every folder with a journal in a study: a renamed run is still one of its runs.

    Raises:
        RecordError: whether a folder holds a run cannot be told; a verdict would leave it out.
    """
    try:
        return sorted((entry for entry in study.iterdir() if journal_in(entry)), key=_place)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RecordError(
            f"a folder of the study cannot be read ({error.strerror})",
            where=str(error.filename),
            expected="every run of the study",
            remedy="name the runs one by one",
        ) from error


def data_from(folder: Path, data: Path) -> str:
    """Where a run's data lies: as given when absolute, else seen from the run's folder.

    `data_of` names it again from any working directory, and a tree that holds
    both may be moved.
    """
    # Of the real folder: a run is looked for there, also where `runs` is a link.
    return str(data) if data.is_absolute() else os.path.relpath(data.absolute(), folder.resolve())


def data_of(folder: Path, recorded: str | None) -> Path | None:
    """The data folder that a run recorded by `data_from`, whether or not it is there."""
    return Path(os.path.normpath(folder / recorded)) if recorded else None


def _place(folder: Path) -> tuple[bool, int, str]:
    digits = folder.name.removeprefix("seed-")
    is_seed = folder.name.startswith("seed-") and digits.isdigit()
    return (not is_seed, int(digits) if is_seed else 0, folder.name)
