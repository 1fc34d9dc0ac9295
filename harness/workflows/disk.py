"""A full or read-only disk, as an error with a remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` in the block into `MachineError`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, folder) from error


def disk_error(error: OSError, folder: Path) -> MachineError:
    """What to tell when a file of the run could not be written."""
    full = error.errno in FULL
    reason = error.strerror or str(error)
    return MachineError(
        f"{'the disk is full' if full else 'a file cannot be written'}: {reason}",
        where=str(error.filename or folder),
        expected="room and permission for journal, checkpoints, predictions and certificate",
        remedy=f"{'make room' if full else 'let this user write there'}, then give the same "
        "command again; nothing half-written is used, and a training goes on from its last whole "
        "checkpoint",
    )
