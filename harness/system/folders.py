"""What a file system is asked for before the work, and what it may lack.

Locks and the durability of names are missing on some network file systems: that is
told and no failure. A folder that takes no file is one, and it is found here, before hours
of work and not after.
"""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError

NO_FOLDER_SYNC = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}
)
"""What CIFS, sshfs and others answer to the sync of a folder; the files in it are synced."""

CONTENTION = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})
BLOCK = 4096


class LockHeldError(Exception):
    """Another process holds the lock; the text is what it wrote there."""


@contextmanager
def not_for_everybody() -> Iterator[None]:
    """Make nothing in the block that every user of the machine may write; the rest is the umask's.

    Files of libraries and children are included.
    """
    before = os.umask(0)
    os.umask(before | stat.S_IWOTH)
    try:
        yield
    finally:
        os.umask(before)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, as far as the file system can.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written and not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def take_lock(descriptor: int, *, wait: bool = False) -> str:
    """Lock an open file until it is closed.

    Args:
        descriptor: Of the file.
        wait: Whether to wait for another process.

    Returns:
        Why the file system has no locks; empty where the lock is held.

    Raises:
        LockHeldError: another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in CONTENTION:
            holder = os.pread(descriptor, BLOCK, 0).decode(errors="replace").strip()
            raise LockHeldError(holder) from error
        return error.strerror or str(error)
    return ""


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on a file, which need not be writable."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in CONTENTION
    finally:
        os.close(descriptor)
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock on `path`, and hold it.

    Where no lock can be had the block runs anyway.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        take_lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def try_folder(folder: Path) -> tuple[str, ...]:
    """Make a folder and do in it what a run does: write, sync, rename, lock.

    Returns:
        What the file system lacks that a run can do without, in sentences.

    Raises:
        MachineError: something that it cannot do without; nothing is left behind.
    """
    try_temporary()
    place = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".harness-trial-", dir=folder))
        return _tried(place)
    except OSError as error:
        raise cannot_write(error, folder) from error
    finally:
        if place != folder:
            shutil.rmtree(place, ignore_errors=True)


def _tried(place: Path) -> tuple[str, ...]:
    lacks = []
    first, second = place / "a" / "file.tmp", place / "b"
    first.parent.mkdir()
    with first.open("wb") as file:
        file.write(bytes(BLOCK))
        file.flush()
        os.fsync(file.fileno())
        problem = take_lock(file.fileno())
    if problem:
        lacks.append(
            f"the file system of {place.parent} has no locks ({problem}): two processes that "
            "train one run would not notice each other"
        )
    first.replace(first.with_name("file"))
    first.parent.replace(second)
    sync_folder(place)
    return tuple(lacks)


def try_output(path: Path) -> None:
    """See whether a file or folder can be put at `path`; nothing is made for it, nothing stays.

    Raises:
        MachineError: its folder, or the first above it that exists, takes no file; or there
            is no folder for temporary files.
    """
    try_temporary()
    _try_file_at(path)


def _try_file_at(path: Path) -> None:
    above = next((p for p in path.absolute().parents if p.exists()), Path("/"))
    folder = path if path.is_dir() else above
    try:
        descriptor, name = tempfile.mkstemp(prefix=".harness-trial-", dir=folder)
        try:
            os.write(descriptor, bytes(BLOCK))
        finally:
            os.close(descriptor)
            Path(name).unlink()
    except OSError as error:
        raise cannot_write(error, path) from error


def try_temporary() -> Path:
    """The folder for temporary files.

    Raises:
        MachineError: there is none that takes a file.
    """
    try:
        folder = Path(tempfile.gettempdir())
        _try_file_at(folder / "harness")
    except (OSError, MachineError) as error:
        raise MachineError(
            f"there is no folder for temporary files: {error}".splitlines()[0],
            where="environment variable TMPDIR, /tmp, /var/tmp and the working directory",
            expected="one of them, with room",
            remedy="make one, and name it with TMPDIR",
        ) from error
    return folder


def cannot_write(error: OSError, where: Path) -> MachineError:
    """What to tell when something could not be written."""
    return MachineError(
        f"nothing can be written here: {error.strerror or error}",
        where=str(where),
        expected="a folder that this user may write, on a file system that can rename and sync "
        "files, with room",
        remedy="name another folder",
    )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` in the block into `MachineError`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(error, Path(error.filename or folder)) from error
