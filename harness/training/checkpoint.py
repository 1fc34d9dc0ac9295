"""Checkpoints: complete or absent, and checked on loading.

A checkpoint is a folder `step-0000001000` with `state.npz` (arrays only, read
without unpickling) and `checkpoint.json` (step, run, sha256 of `state.npz`,
fingerprint of each array). It is written under a temporary name, synced, and
renamed; so a folder of the final name is whole, or was damaged later, which
its digest shows.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import CheckpointError, MachineError, system_remedy
from harness.frozen import digest_of
from harness.system.folders import sync_folder

_NAME = re.compile(r"step-\d{10,}")
STATE_FILE = "state.npz"
INDEX_FILE = "checkpoint.json"


@dataclass(frozen=True)
class Written:
    """A checkpoint as written."""

    step: int
    folder: Path
    digest: str
    bytes: int
    tensor_fingerprints: dict[str, str]


def folder_name(step: int) -> str:
    """Name of the checkpoint after `step` steps; names sort as steps do."""
    return f"step-{step:010d}"


def write_checkpoint(
    checkpoints: Path,
    step: int,
    run_id: str,
    arrays: dict[str, np.ndarray],
    before_rename: Callable[[], None],
) -> Written:
    """Write one checkpoint.

    Args:
        checkpoints: The run's folder of checkpoints.
        step: Steps done.
        run_id: The run that it belongs to.
        arrays: The state.
        before_rename: Called when the files are durable and the name is not
            given yet; makes the journal durable up to this step.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    final = checkpoints / folder_name(step)
    temporary = checkpoints / f".{folder_name(step)}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        written = _write_files(temporary, final, step, run_id, arrays)
        # The journal first: a checkpoint ahead of it would leave a gap in the recorded steps.
        before_rename()
        # One that was passed over as damaged has this name; a rename replaces no full folder.
        shutil.rmtree(final, ignore_errors=True)
        temporary.replace(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    # The new name survives a power cut only once the folder that holds it is synced.
    sync_folder(checkpoints)
    return written


def _write_files(
    folder: Path, final: Path, step: int, run_id: str, arrays: dict[str, np.ndarray]
) -> Written:
    # Reading needs no TensorFlow: what was read decides how a replaying process is pinned.
    from harness.numerics.fingerprint import array_fingerprint

    with (folder / STATE_FILE).open("wb+") as file:
        np.savez(file, allow_pickle=False, **arrays)
        _sync_file(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, os.SEEK_END)
    fingerprints = {name: array_fingerprint(array) for name, array in arrays.items()}
    index = {"step": step, "run_id": run_id, "state_sha256": digest, "fingerprints": fingerprints}
    with (folder / INDEX_FILE).open("w") as file:
        json.dump({"index": index, "index_sha256": digest_of(index)}, file)
        file.flush()
        _sync_file(file.fileno())
    sync_folder(folder)
    return Written(step, final, digest, size, fingerprints)


def _sync_file(descriptor: int) -> None:
    os.fsync(descriptor)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint as read and checked."""

    step: int
    folder: Path
    arrays: dict[str, np.ndarray]
    fingerprints: dict[str, str]


def read_checkpoint(folder: Path, run_id: str | None = None) -> Loaded:
    """Read and check one checkpoint.

    Raises:
        CheckpointError: a file is missing, torn or altered, or the checkpoint
            belongs to another run.
        MachineError: the operating system refuses to read it now.
    """
    try:
        document = json.loads((folder / INDEX_FILE).read_bytes())
        index = dict(document["index"])
        intact = document["index_sha256"] == digest_of(index)
        with (folder / STATE_FILE).open("rb") as file:
            intact = intact and (
                hashlib.file_digest(file, "sha256").hexdigest() == index["state_sha256"]
            )
        if not intact:
            raise CheckpointError(
                "the checkpoint was altered: its digest differs",
                where=str(folder),
                expected=f"sha256 {index['state_sha256']} of {STATE_FILE}",
                remedy="remove the folder; the run resumes from the checkpoint before",
            )
        with np.load(folder / STATE_FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        if system_remedy(error):  # not the checkpoint's fault: an older one would cost hours
            raise MachineError(f"a checkpoint cannot be read: {error}") from error
        raise CheckpointError(
            f"the checkpoint is not readable: {type(error).__name__}: {error}",
            where=str(folder),
            expected=f"{STATE_FILE} and {INDEX_FILE}",
            remedy="remove the folder; the run resumes from the checkpoint before",
        ) from error
    if run_id is not None and index["run_id"] != run_id:
        raise CheckpointError(
            f"the checkpoint belongs to run {index['run_id']}",
            where=str(folder),
            expected=f"run {run_id}",
            remedy="move it away; checkpoints are never shared between runs",
        )
    return Loaded(index["step"], folder, arrays, index["fingerprints"])


def step_of(folder: Path) -> int:
    """Steps done at a checkpoint, from its folder's name."""
    return int(folder.name.removeprefix("step-"))


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """Checkpoint folders, oldest first; a copy under another name is none."""
    found = checkpoints.glob("step-*") if checkpoints.is_dir() else ()
    return sorted(folder for folder in found if _NAME.fullmatch(folder.name))


def read_latest(
    checkpoints: Path, run_id: str, *, at_most: int | None = None
) -> tuple[Loaded | None, tuple[str, ...]]:
    """The newest usable checkpoint, and those passed over with the reason.

    Args:
        checkpoints: The run's folder of checkpoints.
        run_id: The run.
        at_most: Steps in the journal; a checkpoint ahead of them would leave a
            gap, which happens only where a journal lost its end.
    """
    passed_over: list[str] = []
    for folder in reversed(list_checkpoints(checkpoints)):
        if at_most is not None and step_of(folder) > at_most:
            passed_over.append(f"{folder.name}: the journal ends at step {at_most}")
            continue
        try:
            return read_checkpoint(folder, run_id), tuple(passed_over)
        except CheckpointError as error:
            passed_over.append(f"{folder.name}: {error.found}")
    return None, tuple(passed_over)


def remove_old(
    checkpoints: Path, keep: int, kept_steps: Callable[[int], bool], *, newest: int
) -> None:
    """Remove all but the last `keep` checkpoints and those whose step is to be kept.

    Args:
        checkpoints: The run's folder of checkpoints.
        keep: How many stay.
        kept_steps: Which older ones stay.
        newest: Step of the one just written. Those ahead of it were passed over
            by a resume, so they are not counted and are left where they are.
    """
    for leftover in checkpoints.glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    usable = [folder for folder in list_checkpoints(checkpoints) if step_of(folder) <= newest]
    for folder in usable[:-keep]:
        if not kept_steps(step_of(folder)):
            # What somebody reads or removes at this moment goes with a later checkpoint.
            shutil.rmtree(folder, ignore_errors=True)
