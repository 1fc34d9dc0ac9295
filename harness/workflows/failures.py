"""Failures of device, data and disk while a run lasts, as errors with a remedy."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from harness.data.reading import translate_error
from harness.errors import MachineError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def device_errors(folder: Path, explain: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn TensorFlow's errors in the block into `MachineError` or `DataError`.

    Args:
        folder: Of the run.
        explain: Called first; raises when another worker is the cause.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MachineError(
            f"the device ran out of memory: {str(error).splitlines()[0]}",
            where=str(folder),
            expected="memory for the recipe's batch",
            remedy="free the device, or use a larger one; the same command goes on from the "
            "last checkpoint",
        ) from error
    except tf.errors.OpError as error:
        explain()
        raise translate_error(error) from error


def disk_error(error: OSError, folder: Path) -> MachineError:
    """What to tell when a file of the run could not be written."""
    full = error.errno in FULL
    reason = error.strerror or str(error)
    return MachineError(
        f"{'the disk is full' if full else 'a file cannot be written'}: {reason}",
        where=str(error.filename or folder),
        expected="room and permission for journal, checkpoints and predictions",
        remedy="make room, then give the same command again; it goes on from the last whole "
        "checkpoint and nothing half-written is used",
    )
