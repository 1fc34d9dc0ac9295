"""TensorFlow imported without early lines on stderr and without Keras' optional parts."""

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from harness.numerics.flags import check_flags
from harness.numerics.keras_pins import pin_keras
from harness.system.streams import SHOWN
from harness.system.watchdog import watched

UNUSED = ("cv2", "matplotlib", "pandas", "sklearn")
"""Keras imports these wherever they are installed, for parts that are not used here.

Without them the import takes two thirds of the time and leaves 170 MB less resident.
"""

_CHANGING = threading.Lock()
_IMPORTING = threading.Lock()


@contextmanager
def withheld_stderr() -> Iterator[int | None]:
    """Hold back what is written to the process' standard error; show it after an exception.

    Yields the descriptor of what is held, for one who shows it when the process aborts;
    None where there is no place to hold anything, and so nothing is held.
    """
    held = _open_nameless_file()
    if held is None:
        yield None
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with _CHANGING:
        SHOWN.append(kept)
        os.dup2(held, 2)
    try:
        yield held
    except KeyboardInterrupt:  # somebody wants an end, and no reasons
        raise
    except BaseException:
        sys.stderr.flush()
        os.lseek(held, 0, os.SEEK_SET)
        while data := os.read(held, 65536):
            os.write(kept, data)
        raise
    finally:
        sys.stderr.flush()
        with _CHANGING:
            SHOWN.remove(kept)
            os.dup2(kept, 2)
        os.close(kept)
        os.close(held)


def _open_nameless_file() -> int | None:
    """In memory where the system can; a folder for temporary files may be missing."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("withheld")
    try:
        descriptor, name = tempfile.mkstemp()
        os.unlink(name)  # noqa: PTH108 - the descriptor stays
    except OSError:
        return None
    return descriptor


def show_stderr() -> None:
    """Hold nothing back from now on, for a thread that ends the process with a message."""
    with _CHANGING:
        if SHOWN:
            os.dup2(SHOWN[0], 2)


@contextmanager
def absent(names: tuple[str, ...]) -> Iterator[None]:
    """Packages that are not imported yet look as if they were not installed, until the end."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is the import system's word
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def lower_log_level() -> None:
    """Let TensorFlow report nothing below what is fatal, unless the user asked for more.

    Kernels report choices such as "oneDNN supports uint8 only with AVX-512" as errors;
    what really fails is raised.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices, quietly and in little memory.

    It reports a missing GPU driver as an error before any log level applies;
    whether a GPU that the system has is seen is the preflight's question. When it aborts,
    what it said is shown by the process that watches.

    Raises:
        MachineError: a variable with flags for it holds one that it does not know.
    """
    with _IMPORTING:  # threads that inspect images come here at once
        pin_keras()
        if "tensorflow" not in sys.modules:
            _import_quietly()


def _import_quietly() -> None:
    lower_log_level()
    check_flags(os.environ)
    with (
        withheld_stderr() as held,
        watched("looking for devices", held=held),
        absent(UNUSED),
    ):
        collecting = gc.isenabled()
        gc.disable()  # what an import makes stays: looking for garbage takes a sixth of the time
        import tensorflow as tf

        gc.freeze()
        if collecting:
            gc.enable()
        tf.config.list_physical_devices()
