"""TensorFlow imported without the lines that it prints before its logging starts."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def withheld_stderr() -> Iterator[None]:
    """Hold back what is written to the process' standard error; show it after an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices, quietly.

    It reports a missing GPU driver as an error before any log level applies;
    whether a GPU that the system has is seen is the preflight's question.
    """
    if "tensorflow" in sys.modules:
        return
    with withheld_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
