"""A limit on what may hold the interpreter: watched from another process.

TensorFlow opens devices without letting Python run: no thread and no handler
of a signal gets its turn, for as long as a driver or another worker does not answer.
A signal that comes meanwhile reaches the watcher through Python's wakeup
descriptor, which the C handler writes to.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.system.streams import SHOWN

WATCHER = Path(__file__).with_name("watcher.py")
OPENING_LIMIT_S = 300.0
GRACE_S = 1.5
"""How long a process that was asked to stop may be held."""


@contextmanager
def watched(
    what: str,
    *,
    limit_s: float = OPENING_LIMIT_S,
    grace_s: float = GRACE_S,
    held: int | None = None,
) -> Iterator[None]:
    """Have this process killed, with words, when the block takes too long.

    Args:
        what: Is done here, for the words.
        limit_s: Longest time.
        grace_s: Longest time after a signal.
        held: Descriptor of a file with what was written to standard error and not shown;
            the watcher shows it when the process ends in the block.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    passed = () if held is None else (held,)
    words = [str(os.getpid()), str(limit_s), str(grace_s), str(-1 if held is None else held), what]
    try:
        watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHER), *words],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            # What is withheld is a file of this process: words written to it would be lost.
            stderr=SHOWN[-1] if SHOWN else None,
            pass_fds=passed,
        )
    except OSError:  # no process can be had: the block runs unwatched
        os.close(reading)
        os.close(writing)
        yield
        return
    os.close(reading)
    try:
        with _signals_told(writing):
            yield
    finally:
        with suppress(OSError):
            os.write(writing, b"\0")
        os.close(writing)
        watcher.wait()


@contextmanager
def _signals_told(descriptor: int) -> Iterator[None]:
    """Write the number of each signal to a descriptor; only the main thread may ask for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
