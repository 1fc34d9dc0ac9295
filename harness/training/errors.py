"""Failures of device and data while a run lasts, as errors with a remedy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from harness.data.image_files.reading import translate_error
from harness.errors import MachineError


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
