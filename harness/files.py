"""Files that are whole or not there, and what to tell when the disk is full."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError
from harness.system.folders import cannot_write, disk_errors

MEAN_IMAGE_BYTES = 115_000
"""Of ImageNet's files."""


def write_file(path: Path, content: bytes) -> None:
    """Write bytes; on an error nothing half-written is left.

    Not synced: after a crash of the machine the file's size and time tell.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    with disk_errors(path), replaced(path, durable=False) as temporary:
        temporary.write_bytes(content)


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, sync it and rename it to `path`.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    with disk_errors(path), replaced(path) as temporary:
        write(temporary)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        MachineError: it cannot be made, or not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(error, folder) from error


def check_disk_space(folder: Path, size_bytes: int, count: int | None = None) -> None:
    """Refuse to write so many bytes of images where the disk has no room for them.

    Args:
        folder: exists.
        size_bytes: of all images.
        count: of them; None takes as many as ImageNet would have.

    Raises:
        MachineError: too few bytes or too few files are free.
    """
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    files = max(size_bytes, 0) // MEAN_IMAGE_BYTES if count is None else count
    # Each file's last block is half empty on average; a small file takes a whole one.
    needed = max(max(size_bytes, 0) + files * disk.f_frsize // 2, files * disk.f_frsize)
    if needed > free or (disk.f_files and files > disk.f_favail):
        raise MachineError(
            f"{free / 1e9:,.1f} GB and {disk.f_favail:,} files are free",
            where=str(folder),
            expected=f"room for {needed / 1e9:,.1f} GB of images in about {files:,} files, which "
            "are taken out of the archives",
            remedy="free space, or name a folder on a larger disk with --out; what is unpacked "
            "already is used",
        )


@contextmanager
def replaced(path: Path, *, suffix: str = ".tmp", durable: bool = True) -> Iterator[Path]:
    """A temporary file beside `path` to be filled, which becomes `path` at the end.

    Args:
        path: Its folder is made.
        suffix: Of the temporary name, for a library that looks at it.
        durable: Whether the content survives a power cut.

    Raises:
        OSError: it could not be written; `path` is what it was, and nothing else is left.
    """
    temporary = path.with_name(f".{path.name}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # After the renaming nothing is left to remove, after an error the half of a file.
        _remove(temporary)


def replace_text(path: Path, text: str) -> None:
    """Write text as UTF-8.

    Raises:
        OSError: see `replaced`.
    """
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is out of reach: nothing was written there
