"""The folder of a run: its place, its lock and what it already holds."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordError, RunLockedError, UsageError
from harness.recipes.recipe import Recipe
from harness.record.journal import FILE_NAME, Journal, read_journal
from harness.record.schema import EffectiveNumerics
from harness.system.folders import LockHeldError, is_locked, take_lock
from harness.system.secrets import without_credentials

LOCK_FILE = ".lock"


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
    """Whether a process trains this run, as its lock tells; its folder need not be writable."""
    return is_locked(folder / LOCK_FILE)


def _lock(descriptor: int, path: Path) -> None:
    """A file system without locks is told before the run, see `try_folder`."""
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
    """The journal of a run that was begun, or None."""
    if not folder.journal.exists():
        return None
    journal = read_journal(folder.journal)
    return journal if journal.events else None


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
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(without_credentials(json.dumps(document, indent=2, sort_keys=True)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
